"""Sources: one contract for all of them, and every fault of the test servers ends on time with its code."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scenecheck.errors import (
    ContentError,
    RefusedError,
    SourceError,
    StreamError,
    UnreachableError,
    UsageError,
)
from scenecheck.redact import Address
from scenecheck.source import Source, SourceOptions, open_source
from scenecheck.source.base import Watch
from scenecheck.types import Frame
from tests.servers.frame_numbers import read_number
from tests.servers.media import Clips
from tests.servers.rtsp import RtspServer
from tests.servers.rtsp_faults import FAULTS

QUICK: dict[str, Any] = {
    "deadline_s": 5.0,
    "connect_s": 1.0,
    "open_s": 1.2,
    "first_frame_s": 1.5,
    "read_s": 1.0,
}


@dataclass
class Seen:
    frames: list[Frame]
    error: SourceError | None
    seconds: float

    @property
    def numbers(self) -> list[int | None]:
        return [read_number(f.picture.planes[0]) for f in self.frames]

    @property
    def code(self) -> str | None:
        return None if self.error is None else self.error.code


def watch(source: str | Path | Address, n: int = 2, **changes: Any) -> Seen:
    """Read ``n`` frames, or as many as come, with short limits."""
    frames: list[Frame] = []
    error: SourceError | None = None
    started = time.monotonic()
    try:
        with open_source(source, SourceOptions(**(QUICK | changes))) as opened:
            for frame in opened:
                frames.append(frame)
                if len(frames) == n:
                    break
    except SourceError as e:
        error = e
    return Seen(frames, error, time.monotonic() - started)


# -- what no source can be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ftp://192.0.2.1/x", "unknown-scheme"),
        ("concat:/etc/passwd|/etc/hosts", "unknown-scheme"),
        ("file:///etc/passwd", "unknown-scheme"),
        ("rtsp://192.0.2.1/a b", "bad-address"),
        ("rtsp://", "bad-address"),
        ("/no/such/file.mp4", "no-such-path"),
        ("\0", "no-such-path"),
    ],
)
def test_open_source_refuses_what_no_source_can_be(text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(text)
    assert caught.value.code == code


def test_iterating_outside_with_is_a_bug(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    with pytest.raises(RuntimeError, match="inside `with`"):
        next(iter(open_source(tmp_path / "x.jpg")))


# -- files -------------------------------------------------------------------------------------------


def test_film_gives_frames_spread_over_it_and_ends(clips: Clips) -> None:
    seen = watch(clips["h264-long-gop"], n=99, frames=5)
    assert seen.code is None
    assert len(seen.frames) == 5
    assert None not in seen.numbers


def test_film_without_keyframes_is_read_in_order(clips: Clips) -> None:
    seen = watch(clips["h264-intra-refresh"], n=99, frames=5)
    assert len(seen.frames) >= 3
    assert None not in seen.numbers


def test_raw_stream_file_without_duration_is_read_in_order(clips: Clips, tmp_path: Path) -> None:
    import av

    raw = tmp_path / "x.h264"
    with av.open(str(clips["h264"])) as container, av.open(str(raw), "w", format="h264") as out:
        stream = container.streams.video[0]
        target = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = target
                out.mux(packet)
    seen = watch(raw, n=99)
    assert seen.code is None
    assert seen.numbers == [0, 25]


def test_folder_is_one_camera_sampled_evenly(samples_dir: Path, tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i}.jpg").write_bytes((samples_dir / "junction-1.jpg").read_bytes())
    (tmp_path / "notes.txt").write_text("not a picture")
    seen = watch(tmp_path, n=99, frames=4)
    assert (len(seen.frames), seen.code) == (4, None)
    assert not any(f.is_live for f in seen.frames)


def test_folder_with_one_good_picture_gives_that(samples_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"broken")
    (tmp_path / "b.jpg").write_bytes((samples_dir / "junction-1.jpg").read_bytes())
    seen = watch(tmp_path, n=99)
    assert (len(seen.frames), seen.code) == (1, None)


def bad_files(folder: Path, samples: Path, clips: Clips) -> Iterator[tuple[Path, str]]:
    jpeg, film = (samples / "junction-1.jpg").read_bytes(), clips["h264"].read_bytes()  # its index comes last
    contents = {
        "text.mp4": (b"this is a text\n" * 100, "not-a-film"),
        "empty.jpg": (b"", "empty"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "picture-damaged"),
        "head.mp4": (film[: len(film) // 3], "not-a-film"),
        "local.m3u8": (b"#EXTM3U\n#EXTINF:2,\n/etc/passwd\n#EXT-X-ENDLIST\n", "not-a-film"),
        "list.ffconcat": (b"ffconcat version 1.0\nfile /etc/passwd\n", "not-a-film"),
        "x.sdp": (
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
            "not-a-film",
        ),
        "zeros.bin": (bytes(5000), "not-a-film"),
    }
    for name, (data, code) in contents.items():
        (folder / name).write_bytes(data)
        yield folder / name, code
    (folder / "nothing").mkdir()
    yield folder / "nothing", "no-pictures"


def test_files_that_are_no_film_and_no_picture_say_so_at_once(
    samples_dir: Path, clips: Clips, tmp_path: Path
) -> None:
    for path, code in bad_files(tmp_path, samples_dir, clips):
        seen = watch(path)
        assert (path.name, seen.code, seen.frames) == (path.name, code, [])
        assert seen.seconds < 1.0


def test_film_cut_off_in_the_middle_gives_its_whole_frames_only(clips: Clips, tmp_path: Path) -> None:
    import av

    whole = tmp_path / "whole.mp4"
    with (
        av.open(str(clips["h264"])) as container,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = container.streams.video[0]
        target = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = target
                out.mux(packet)
    data = whole.read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: len(data) * 6 // 10])
    seen = watch(tmp_path / "half.mp4", n=99, frames=8)
    assert seen.frames
    assert None not in [n for n, f in zip(seen.numbers, seen.frames, strict=True) if not f.is_damaged]


# -- RTSP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    "preset", ["h264", "h264-bframes", "h264-open-gop", "h264-slices", "hevc", "hevc-bframes"]
)
def test_rtsp_gives_the_keyframes_as_they_come(rtsp_server: RtspServer, preset: str, transport: str) -> None:
    seen = watch(rtsp_server.url(preset), transport=transport)
    assert seen.code is None
    assert seen.numbers == [0, 25]
    assert not any(f.is_damaged for f in seen.frames)


def test_rtsp_mjpeg_is_sampled(rtsp_server: RtspServer) -> None:
    seen = watch(rtsp_server.url("mjpeg"), every_s=0.2)
    assert seen.code is None
    assert seen.frames[1].at_s - seen.frames[0].at_s >= 0.2


def test_rtsp_intra_refresh_and_long_gops_are_decoded_completely(rtsp_server: RtspServer) -> None:
    for preset in ("h264-intra-refresh", "h264-long-gop"):
        seen = watch(rtsp_server.url(preset), n=3, read_s=4.0, every_s=0.3)
        assert (seen.code, len(seen.frames)) == (None, 3)
        assert None not in seen.numbers


# What a client must say of each fault. A tuple where the timing of a reset decides which of two.
EXPECTED: dict[str, str | tuple[str, ...] | None] = {
    "silent-accept": "open-timeout",
    "silent-options": "open-timeout",
    "silent-describe": "open-timeout",
    "silent-setup": "open-timeout",
    "silent-play": "open-timeout",
    "silent-teardown": None,
    "close-accept": "connect-reset",
    "close-describe": "connect-reset",
    "close-setup": "connect-reset",
    "close-play": "connect-reset",
    "reset-describe": "connect-reset",
    "drip-header": "open-timeout",
    "endless-headers": "open-timeout",
    "huge-content-length": "open-timeout",
    "endless-body": "open-timeout",
    "http-junk": "protocol-error",
    "binary-junk": ("open-timeout", "protocol-error"),
    "401": "auth-failed",
    "403": "forbidden",
    "404": "not-found",
    "453": "server-busy",
    "461": "transport-refused",
    "500": "server-error",
    "503": "server-busy",
    "redirect": None,
    "redirect-host": "redirected",
    "redirect-loop": "redirected",
    "audio-only": "no-video",
    "nonsense-sdp": "no-video",
    "broken-sdp": ("codec-unsupported", "open-timeout", "no-video", "first-frame-timeout"),
    "no-media": "first-frame-timeout",
    "rtcp-only": "first-frame-timeout",
    "drip-rtp": "first-frame-timeout",
    "garbage-rtp": ("codec-damaged", "first-frame-timeout"),
    "non-rtp": ("first-frame-timeout", "stream-ended"),
    "stall": "stream-stalled",
    "close": "stream-ended",
    "reset": "stream-ended",
    "non-rtp-later": ("stream-stalled", "stream-ended"),
    "loss": None,
    "reorder": None,
    "duplicate": None,
    "corrupt": None,
    "no-burst": None,
    "no-keyframe": "first-frame-timeout",
    "frozen": None,
    "size-change": None,
    "timestamp-jump": None,
}


def test_every_fault_of_the_server_has_its_expectation() -> None:
    assert set(EXPECTED) == set(FAULTS)


@pytest.mark.parametrize("fault", EXPECTED)
def test_rtsp_fault_ends_on_time_with_its_code(rtsp_server: RtspServer, fault: str) -> None:
    expected = EXPECTED[fault]
    seen = watch(rtsp_server.url("h264", fault), n=3 if expected else 2)
    if expected is None:
        assert (seen.code, len(seen.frames)) == (None, 2)
    else:
        assert seen.code in ((expected,) if isinstance(expected, str) else expected)
    assert seen.seconds < QUICK["deadline_s"] + 0.7
    assert "\n" not in str(seen.error)


@pytest.mark.parametrize("fault", ["loss", "corrupt"])
def test_rtsp_frames_whose_number_cannot_be_read_are_marked_damaged(
    rtsp_server: RtspServer, fault: str
) -> None:
    for transport in ("tcp", "udp"):
        seen = watch(rtsp_server.url("h264", fault, loss=0.03), n=3, transport=transport, deadline_s=6.0)
        for frame, number in zip(seen.frames, seen.numbers, strict=True):
            assert frame.is_damaged or number in {0, 25}


def test_rtsp_size_change_is_followed(rtsp_server: RtspServer) -> None:
    seen = watch(rtsp_server.url("h264", "size-change"), n=3)
    assert [f.picture.width_px for f in seen.frames[:3]] == [640, 320, 320]
    assert None not in seen.numbers


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("silent-describe", {"open-timeout"}),
        ("drip-header", {"open-timeout"}),
        ("drip-rtp", {"first-frame-timeout", "open-timeout"}),
        ("stall", {"deadline", "stream-stalled"}),
        ("no-keyframe", {"first-frame-timeout"}),
    ],
)
def test_rtsp_one_deadline_stands_over_all_phases(
    rtsp_server: RtspServer, fault: str, codes: set[str]
) -> None:
    long = {"connect_s": 30.0, "open_s": 30.0, "first_frame_s": 30.0, "read_s": 30.0}
    seen = watch(rtsp_server.url("h264", fault), n=99, deadline_s=1.5, **long)
    assert seen.code in codes
    assert 1.4 < seen.seconds < 2.3


def test_no_reader_thread_outlives_its_read_timeout(rtsp_server: RtspServer) -> None:
    url = rtsp_server.url("h264", "stall", who="reader-thread-test")
    watch(url, n=99)
    ends = time.monotonic() + 5.0
    while any("reader-thread-test" in t.name for t in threading.enumerate()):
        assert time.monotonic() < ends, "a reader thread is still there"
        time.sleep(0.02)


@pytest.mark.parametrize("auth", ["basic", "digest"])
@pytest.mark.parametrize("password", ["secret", "p@ss:w/o?r#d %41+&=\"'<>[]{}|\\^`~!$*(),;", "ünï漢"])
def test_rtsp_credentials_of_any_printable_character_are_understood(
    rtsp_server: RtspServer, auth: str, password: str
) -> None:
    rtsp_server.auth, rtsp_server.users = auth, {"viewer": password}
    address = Address.parse(rtsp_server.url("h264"), user="viewer", password=password)
    seen = watch(address, n=1)
    assert seen.code is None
    assert seen.numbers == [0]


@pytest.mark.parametrize("auth", ["basic", "digest"])
@pytest.mark.parametrize("login", [{}, {"user": "viewer", "password": "canary-wrong"}])
def test_rtsp_wrong_or_missing_credentials_are_told_without_showing_them(
    rtsp_server: RtspServer, auth: str, login: dict[str, str]
) -> None:
    rtsp_server.auth = auth
    seen = watch(rtsp_server.url("h264", **login))
    assert seen.code == "auth-failed"
    assert "canary" not in repr(seen.error) + str(seen.error) + str(getattr(seen.error, "__dict__", ""))


def test_rtsp_credentials_never_follow_a_redirect_to_another_host(
    rtsp_server: RtspServer, clips: Clips
) -> None:
    with RtspServer(clips, users={"viewer": "secret"}) as other:
        for auth in ("", "digest", "basic"):
            rtsp_server.auth = auth
            url = rtsp_server.url(
                "h264", "redirect-host", user="viewer", password="secret", to=other.url("h264")
            )
            seen = watch(url)
            assert seen.code == "redirected"
        assert other.connections == []


@pytest.mark.parametrize("auth", ["", "basic", "digest"])
def test_ffmpeg_itself_follows_no_redirect_even_if_nobody_knocked_before(
    rtsp_server: RtspServer, clips: Clips, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    def trusting(address: Address, _options: SourceOptions, watch: Watch) -> Address:
        watch.enter("open")
        return address

    monkeypatch.setattr("scenecheck.source.rtsp.knock", trusting)
    rtsp_server.auth = auth
    with RtspServer(clips) as other:
        url = rtsp_server.url("h264", "redirect-host", user="viewer", password="secret", to=other.url("h264"))
        assert watch(url).code in {"protocol-error", "redirected"}
        assert other.connections == []


def test_rtsps_is_verified_unless_told_otherwise(rtsps_server: RtspServer, authority: Any) -> None:
    url = rtsps_server.url("h264")
    assert watch(url).code == "tls-untrusted"
    assert watch(url, n=1, tls_ca=authority.pem).numbers == [0]
    assert watch(url, n=1, insecure=True).numbers == [0]


def test_rtsps_with_credentials_is_verified_before_they_are_sent(
    rtsps_server: RtspServer, authority: Any
) -> None:
    rtsps_server.auth = "basic"
    url = rtsps_server.url("h264", user="viewer", password="secret")
    assert watch(url).code == "tls-untrusted"
    assert rtsps_server.credentials == []
    assert watch(url, n=1, tls_ca=authority.pem).numbers == [0]


def test_rtsps_to_a_port_that_speaks_no_tls_says_so(rtsp_server: RtspServer) -> None:
    seen = watch(rtsp_server.url("h264").replace("rtsp://", "rtsps://"))
    assert seen.code in {"tls-failed", "open-timeout", "connect-reset"}
    assert seen.seconds < 3.5


def test_unreachable_addresses_are_told_apart() -> None:
    with RtspServer({}) as server:
        port = server.port
    assert watch(f"rtsp://127.0.0.1:{port}/x").code == "connect-refused"
    assert watch(f"http://127.0.0.1:{port}/x").code == "connect-refused"
    assert watch("rtsp://no-such-host.invalid/x").code == "host-unknown"
    assert watch("http://no-such-host.invalid/x").code == "host-unknown"


def test_name_resolution_that_hangs_ends_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: hang.wait(20.0))
    try:
        seen = watch("rtsp://camera.example/x")
    finally:
        hang.set()
    assert seen.code == "host-unknown"
    assert seen.seconds < QUICK["connect_s"] + 1.0


# -- the thread between reader and caller ------------------------------------------------------------


class Scripted:
    """A reader that does what a test says."""

    name = "scripted"

    def __init__(self, script: Any) -> None:
        self._script = script

    def frames(self, watch: Watch) -> Iterator[Frame]:
        yield from self._script(watch)


def test_an_unforeseen_failure_of_a_reader_is_an_error_not_a_hang() -> None:
    def broken(watch: Watch) -> Iterator[Frame]:
        watch.enter("open")
        raise ZeroDivisionError("rtsp://u:canary@192.0.2.1/")
        yield

    with Source(Scripted(broken), SourceOptions(**QUICK)) as source, pytest.raises(StreamError) as caught:
        next(source)
    assert caught.value.code == "codec-damaged"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("phase", "error", "code"),
    [
        ("connect", UnreachableError, "connect-timeout"),
        ("open", UnreachableError, "open-timeout"),
        ("first-frame", StreamError, "first-frame-timeout"),
        ("stream", StreamError, "stream-stalled"),
    ],
)
def test_a_reader_that_hangs_in_a_phase_ends_with_that_phases_error(
    phase: Any, error: type, code: str
) -> None:
    release = threading.Event()

    def hang(watch: Watch) -> Iterator[Frame]:
        watch.enter(phase)
        release.wait(20.0)
        yield from ()

    options = SourceOptions(
        **(QUICK | {"connect_s": 0.2, "open_s": 0.2, "first_frame_s": 0.2, "read_s": 0.2})
    )
    try:
        with Source(Scripted(hang), options) as source, pytest.raises(error) as caught:
            next(source)
    finally:
        release.set()
    assert caught.value.code == code


def test_a_source_that_ended_or_failed_says_so_again_when_asked_again(clips: Clips, tmp_path: Path) -> None:
    with open_source(clips["h264"]) as source:
        assert list(source)
        assert list(source) == []
    (tmp_path / "x.mp4").write_bytes(b"text")
    with open_source(tmp_path / "x.mp4") as source:
        for _ in range(2):
            with pytest.raises(ContentError):
                next(source)


def test_a_slow_caller_is_not_mistaken_for_a_stalled_camera(clips: Clips) -> None:
    options = SourceOptions(**(QUICK | {"read_s": 0.3, "frames": 12}))
    with open_source(clips["h264-720p"], options) as source:
        first = next(source)
        time.sleep(1.2)  # longer than read_s and the grace: what the caller does is its own affair
        rest = list(source)
    assert first.is_key
    assert len(rest) >= 5


def test_redirect_errors_are_final_and_timeouts_are_transient() -> None:
    assert not RefusedError.is_transient
    assert UnreachableError.is_transient
    assert StreamError.is_transient
