"""Each fault of the RTSP server shows on the wire as promised, and none keeps the server from ending."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import av
import pytest

from tests.servers.rtsp import FAULTS, MEDIA_FAULTS, RtspServer
from tests.servers.wire import Seen, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.media import Clips

SPEED = 16
"""Times real time: the media is the same, the tests are shorter."""
AFTER = 12
HOUR_BACK = (3600 - 3600 * 90_000) % 2**32
"""The step of a timestamp that goes one frame on and an hour back."""


def _text(query: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items()}


def watch(server: RtspServer, fault: str, **query: object) -> Seen:
    """What a bare client sees of ``fault``."""
    with Wire(server.url("h264", fault, **_text({"speed": SPEED, "after": AFTER} | query))) as wire:
        return wire.play(for_s=0.25)


def _payloads(seen: Seen) -> list[bytes]:
    return [packet.payload for packet in seen.packets]


def _sequence_steps(seen: Seen) -> set[int]:
    return {(b.sequence - a.sequence) % 65536 for a, b in itertools.pairwise(seen.packets)}


def _has_idr(unit: list[Any]) -> bool:
    """Whether an access unit of H.264 holds an IDR slice, whole or in fragments."""
    kinds = [(p.payload[0] & 0x1F, p.payload[1] & 0x1F) for p in unit if len(p.payload) > 1]
    return any(kind == 5 or (kind == 28 and inner == 5) for kind, inner in kinds)


def _timestamp_steps(seen: Seen) -> set[int]:
    times = [unit[0].timestamp for unit in seen.units]
    return {(b - a) % 2**32 for a, b in itertools.pairwise(times)}


def _changes_clip(seen: Seen, right: frozenset[bytes]) -> bool:
    """Whether the first AFTER units are the clip's, and no packet is after them."""
    # Only slices: parameter sets and the encoder's note are the same in both clips.
    units = [{p.payload for p in unit if p.payload[0] & 0x1F in (1, 5, 28)} for unit in seen.units[:-1]]
    return all(unit <= right for unit in units[:AFTER]) and not any(unit & right for unit in units[AFTER:])


# Of each fault: the phase it shows in, the last status, how it ends ("" and open: bytes go on), and
# what else must hold.
EXPECTED: dict[str, tuple[str, int, str, Callable[[Seen, frozenset[bytes]], bool]]] = {
    "silent-accept": ("OPTIONS", 0, "silent", lambda s, ok: not s.raw),
    "silent-options": ("OPTIONS", 0, "silent", lambda s, ok: not s.raw),
    "silent-describe": ("DESCRIBE", 0, "silent", lambda s, ok: not s.raw),
    "silent-setup": ("SETUP", 0, "silent", lambda s, ok: not s.raw),
    "silent-play": ("PLAY", 0, "silent", lambda s, ok: not s.raw),
    "silent-teardown": ("PLAY", 200, "", lambda s, ok: len(s.units) > 20),
    "close-accept": ("OPTIONS", 0, "closed", lambda s, ok: not s.raw),
    "close-describe": ("DESCRIBE", 0, "closed", lambda s, ok: not s.raw),
    "close-setup": ("SETUP", 0, "closed", lambda s, ok: not s.raw),
    "close-play": ("PLAY", 0, "closed", lambda s, ok: not s.raw),
    "reset-describe": ("DESCRIBE", 0, "reset", lambda s, ok: not s.raw),
    "drip-header": (
        "DESCRIBE",
        0,
        "open",
        lambda s, ok: 10 < len(s.raw) < 200 and b"\r\n\r\n" not in s.raw,
    ),
    "endless-headers": (
        "DESCRIBE",
        0,
        "open",
        lambda s, ok: len(s.raw) > 20_000 and b"\r\n\r\n" not in s.raw,
    ),
    "huge-content-length": ("DESCRIBE", 200, "silent", lambda s, ok: "2000000000" in s.head),
    "endless-body": ("DESCRIBE", 200, "open", lambda s, ok: len(s.sdp) > 100_000),
    "http-junk": ("OPTIONS", 0, "open", lambda s, ok: s.head.startswith("HTTP/1.1 400")),
    "binary-junk": ("OPTIONS", 0, "silent", lambda s, ok: len(s.raw) == 256 * 64),
    "401": ("DESCRIBE", 401, "open", lambda s, ok: "WWW-Authenticate: Digest" in s.head),
    "403": ("DESCRIBE", 403, "open", lambda s, ok: not s.raw),
    "404": ("DESCRIBE", 404, "open", lambda s, ok: not s.raw),
    "453": ("SETUP", 453, "open", lambda s, ok: not s.raw),
    "461": ("SETUP", 461, "open", lambda s, ok: not s.raw),
    "500": ("DESCRIBE", 500, "open", lambda s, ok: not s.raw),
    "503": ("DESCRIBE", 503, "open", lambda s, ok: not s.raw),
    "redirect": ("DESCRIBE", 302, "open", lambda s, ok: "Location: rtsp://127.0.0.1:" in s.head),
    "redirect-host": ("DESCRIBE", 302, "open", lambda s, ok: "Location: rtsp://localhost:" in s.head),
    "redirect-loop": ("DESCRIBE", 302, "open", lambda s, ok: "?fault=redirect-loop" in s.head),
    "audio-only": (
        "PLAY",
        200,
        "",
        lambda s, ok: "m=video" not in s.sdp and s.packets[0].payload_type == 8,
    ),
    "nonsense-sdp": ("PLAY", 200, "", lambda s, ok: "m=" not in s.sdp),
    "broken-sdp": ("PLAY", 200, "", lambda s, ok: "m=\r\n" in s.sdp and "RTP/AVP 300" in s.sdp),
    "no-media": ("PLAY", 200, "silent", lambda s, ok: not s.raw),
    "rtcp-only": ("PLAY", 200, "", lambda s, ok: s.n_reports > 3 and not s.packets),
    "drip-rtp": ("PLAY", 200, "", lambda s, ok: 5 < len(s.raw) < 200 and not s.packets),
    "garbage-rtp": ("PLAY", 200, "", lambda s, ok: len(s.packets) > 50 and not ok & set(_payloads(s))),
    "non-rtp": ("PLAY", 200, "", lambda s, ok: s.n_junk_bytes == len(s.raw) > 0),
    "stall": ("PLAY", 200, "silent", lambda s, ok: len(s.units) == AFTER),
    "close": ("PLAY", 200, "closed", lambda s, ok: len(s.units) == AFTER),
    "reset": ("PLAY", 200, "reset", lambda s, ok: len(s.units) == AFTER),
    "non-rtp-later": ("PLAY", 200, "", lambda s, ok: len(s.units) == AFTER and s.n_junk_bytes > 0),
    "loss": (
        "PLAY",
        200,
        "",
        lambda s, ok: max(_sequence_steps(s)) in range(2, 9) and set(_payloads(s)) <= ok,
    ),
    "reorder": ("PLAY", 200, "", lambda s, ok: 65535 in _sequence_steps(s) and set(_payloads(s)) <= ok),
    "duplicate": ("PLAY", 200, "", lambda s, ok: _sequence_steps(s) == {0, 1}),
    "corrupt": ("PLAY", 200, "", lambda s, ok: 0 < len(set(_payloads(s)) - ok) < len(s.packets) / 2),
    "no-burst": ("PLAY", 200, "", lambda s, ok: [_has_idr(unit) for unit in s.units].index(True) == 13),
    "no-keyframe": ("PLAY", 200, "", lambda s, ok: len(s.units) > 50 and not any(map(_has_idr, s.units))),
    "frozen": (
        "PLAY",
        200,
        "",
        lambda s, ok: len({tuple(p.payload for p in u) for u in s.units[:-1]}) == 1,
    ),
    "size-change": ("PLAY", 200, "", _changes_clip),
    "timestamp-jump": (
        "PLAY",
        200,
        "",
        lambda s, ok: _timestamp_steps(s) == {3600, HOUR_BACK},
    ),
}
FASTER = {"drip-header": {"rate": 100}, "drip-rtp": {"rate": 100}, "rtcp-only": {"rate": 40}}


@pytest.fixture(scope="module")
def right(clips: Clips) -> frozenset[bytes]:
    """Every payload of the clip."""
    with RtspServer(clips) as server:
        return frozenset(part for unit in server.media("h264").units for part in unit.payloads)


def test_expectations_when_compared_then_cover_every_fault() -> None:
    assert EXPECTED.keys() == FAULTS.keys()
    assert set(MEDIA_FAULTS) < FAULTS.keys()
    assert all(text and "\n" not in text for text in FAULTS.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_when_asked_for_then_shows_on_the_wire(
    rtsp_server: RtspServer, right: frozenset[bytes], fault: str
) -> None:
    phase, status, ending, holds = EXPECTED[fault]
    seen = watch(rtsp_server, fault, **FASTER.get(fault, {}))
    assert (seen.phase, seen.status, seen.ending) == (phase, status, ending)
    assert holds(seen, right)
    rtsp_server.wait_for(lambda: rtsp_server.connections[-1].closed_s)


def test_no_fault_when_watched_then_every_payload_is_the_clips(
    rtsp_server: RtspServer, right: frozenset[bytes]
) -> None:
    seen = watch(rtsp_server, "")
    assert len(seen.units) > 50
    assert set(_payloads(seen)) <= right
    assert _sequence_steps(seen) == {1}
    assert _has_idr(seen.units[0])


def test_fault_when_unknown_then_400(rtsp_server: RtspServer) -> None:
    with Wire(rtsp_server.url("h264") + "?fault=no-such") as wire:
        assert wire.play().status == 400
    with pytest.raises(ValueError, match="no-such"):
        rtsp_server.url("h264", "no-such")


@pytest.mark.parametrize("phase", ["options", "setup", "play"])
def test_phase_when_given_then_the_fault_moves_there(rtsp_server: RtspServer, phase: str) -> None:
    seen = watch(rtsp_server, "drip-header", phase=phase, rate=50)
    assert (seen.phase, seen.status) == (phase.upper(), 0)
    assert seen.raw.startswith(b"RTSP/1.0 200 OK")


def test_loss_with_one_seed_then_the_same_packets_are_lost(rtsp_server: RtspServer) -> None:
    runs = [watch(rtsp_server, "loss", seed=seed, loss=0.3) for seed in (7, 7, 8)]
    lost = [[p.sequence for p in run.packets[:100]] for run in runs]
    assert lost[0] == lost[1] != lost[2]


def test_loss_over_udp_then_frames_are_missing(rtsp_server: RtspServer) -> None:
    url = rtsp_server.url("h264", "loss", loss=0.5, speed=SPEED, loops=1)
    with av.open(url, options={"rtsp_transport": "udp", "probesize": "32"}, timeout=(5, 5)) as container:
        n_bytes = sum(packet.size for packet in container.demux(video=0))
    whole = sum(len(part) for unit in rtsp_server.media("h264").units for part in unit.payloads)
    assert 0 < n_bytes < 0.9 * whole


def test_teardown_when_silent_then_no_answer(rtsp_server: RtspServer) -> None:
    with Wire(rtsp_server.url("h264", "silent-teardown", speed=SPEED)) as wire:
        wire.play(for_s=0.1)
        wire.ask("TEARDOWN")
        rtsp_server.wait_for(lambda: "TEARDOWN" in rtsp_server.connections[-1].methods)
    rtsp_server.wait_for(lambda: rtsp_server.connections[-1].closed_s)


def test_redirect_to_another_host_then_the_other_server_is_asked(
    rtsp_server: RtspServer, clips: Clips
) -> None:
    with RtspServer(clips) as other:
        url = rtsp_server.url("h264", "redirect-host", to=other.url("h264"))
        with av.open(url, options={"rtsp_transport": "tcp", "probesize": "32"}, timeout=(5, 5)) as container:
            assert next(container.decode(video=0)).width == 640
        assert [request.method for request in other.requests][:2] == ["OPTIONS", "DESCRIBE"]


def test_mute_server_when_connected_then_not_a_word(silent_server: RtspServer) -> None:
    url = f"rtsp://{silent_server.host}:{silent_server.port}/h264"
    with Wire(url) as wire:
        assert wire.play().ending == "silent"


def test_stop_when_every_fault_hangs_then_ends_in_time(clips: Clips) -> None:
    wires = []
    server = RtspServer(clips).start()
    try:
        for fault in FAULTS:
            wire = Wire(server.url("h264", fault, rate=20))
            wire.ask("OPTIONS")
            wires.append(wire)
        server.wait_for(lambda: len(server.requests) == len(FAULTS))
    finally:
        start = time.monotonic()
        server.stop()
    assert time.monotonic() - start < 1
    assert all(seen.closed_s for seen in server.connections)
    for wire in wires:
        wire.close()


def test_hundred_viewers_when_playing_then_all_get_pictures_and_the_server_ends(clips: Clips) -> None:
    seen: list[Seen] = []

    def view(url: str) -> None:
        with Wire(url, wait_s=5) as wire:
            seen.append(wire.play(for_s=20, n_packets=30))

    with RtspServer(clips) as server:
        threads = [threading.Thread(target=view, args=(server.url("h264"),)) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        start = time.monotonic()
    assert time.monotonic() - start < 1
    assert len(seen) == 100
    assert all(len(one.packets) >= 30 and _has_idr(one.units[0]) for one in seen)
