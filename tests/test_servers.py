"""The RTSP server keeps its promises: right frames by every transport, real authentication and TLS."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest

from tests.servers import gst_process
from tests.servers.media import luma, read_number
from tests.servers.rtsp import RtspServer
from tests.servers.rtsp_cli import main
from tests.servers.wire import Seen, Wire

if TYPE_CHECKING:
    from tests.conftest import TestAuthority
    from tests.servers.media import Clips

LIMIT_S = (5.0, 5.0)
SPEED = 8
"""Times real time: the media is the same, the tests are shorter."""
NASTY = "p@ss:/?#[]%41 \"'&=+é"


def frames(url: str, n: int = 10, transport: str = "tcp", **options: str) -> list[Any]:
    """The first ``n`` frames of ``url``."""
    settings = {"rtsp_transport": transport, "probesize": "32"} | options
    with av.open(url, options=settings, timeout=LIMIT_S) as container:
        return list(itertools.islice(container.decode(video=0), n))


def numbers(url: str, n: int = 10, transport: str = "tcp", **options: str) -> list[int | None]:
    return [read_number(luma(frame)) for frame in frames(url, n, transport, **options)]


def watch(server: RtspServer, speed: int = SPEED, **query: str) -> Seen:
    """What a bare client sees of the clip."""
    with Wire(server.url("h264", speed=speed, **query)) as wire:
        return wire.play()


# Media


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("clip", ["h264", "h264-bframes", "h264-slices", "hevc", "hevc-10bit", "mjpeg"])
def test_play_by_each_codec_and_transport_then_frames_are_right(
    rtsp_server: RtspServer, clip: str, transport: str
) -> None:
    assert numbers(rtsp_server.url(clip, speed=4), transport=transport) == list(range(10))
    assert rtsp_server.connections[-1].transport == transport


def test_play_past_the_end_then_numbers_begin_anew_and_times_go_on(rtsp_server: RtspServer) -> None:
    shown = frames(rtsp_server.url("h264", speed=SPEED), 70)
    assert [read_number(luma(frame)) for frame in shown] == [n % 50 for n in range(70)]
    times = [frame.pts for frame in shown if frame.pts is not None]
    assert len(times) >= 69
    assert {b - a for a, b in itertools.pairwise(times)} == {3600}


def test_play_when_paced_then_it_takes_real_time(rtsp_server: RtspServer) -> None:
    start = time.monotonic()
    numbers(rtsp_server.url("h264", speed=2), 51)
    assert 0.9 < time.monotonic() - start < 3


def test_packets_when_played_then_sequence_wraps_without_a_gap(rtsp_server: RtspServer) -> None:
    seen = watch(rtsp_server, speed=20)
    sequences = [packet.sequence for packet in seen.packets]
    assert all((b - a) % 65536 == 1 for a, b in itertools.pairwise(sequences))
    assert 0 in sequences
    assert sequences[0] > 0
    assert seen.n_reports >= 1


def test_packets_when_played_then_each_unit_ends_with_one_marker(rtsp_server: RtspServer) -> None:
    units = watch(rtsp_server).units[:-1]
    assert len(units) > 50
    assert all([packet.marker for packet in unit] == [False] * (len(unit) - 1) + [True] for unit in units)


def test_loops_when_given_then_the_stream_ends(rtsp_server: RtspServer) -> None:
    assert numbers(rtsp_server.url("h264", speed=SPEED, loops=1), 200) == list(range(50))


@pytest.mark.parametrize("where", ["both", "sdp", "inband"])
def test_parameter_sets_wherever_they_stand_then_frames_are_right(
    rtsp_server: RtspServer, where: str
) -> None:
    assert numbers(rtsp_server.url("h264", speed=4, parameter_sets=where)) == list(range(10))
    seen = watch(rtsp_server, parameter_sets=where)
    in_band = any(packet.payload[0] & 0x1F == 7 for packet in seen.packets)
    assert ("sprop-parameter-sets" in seen.sdp, in_band) == (where != "inband", where != "sdp")


def test_parameter_sets_before_each_slice_then_the_keyframe_comes_in_pieces(rtsp_server: RtspServer) -> None:
    options = {"rtsp_transport": "tcp", "probesize": "32"}
    url = rtsp_server.url("h264-slices", parameter_sets="per-slice", speed=SPEED)
    with av.open(url, options=options, timeout=LIMIT_S) as container:
        packets = list(itertools.islice(container.demux(video=0), 40))
    pieces = Counter(packet.dts for packet in packets if packet.is_keyframe)
    assert 4 in pieces.values()


def test_audio_beside_the_video_then_both_come(rtsp_server: RtspServer) -> None:
    url = rtsp_server.url("h264", audio=1)
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=LIMIT_S) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}
        kinds = {packet.stream.type for packet in itertools.islice(container.demux(), 40)}
    assert kinds == {"audio", "video"}


def test_clip_when_unknown_then_404(rtsp_server: RtspServer) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        frames(rtsp_server.url("nothing"))


def test_close_when_playing_then_the_server_sees_the_end(rtsp_server: RtspServer) -> None:
    numbers(rtsp_server.url("h264"), 1)
    seen = rtsp_server.connections[-1]
    rtsp_server.wait_for(lambda: seen.closed_s)
    assert seen.methods[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
    assert seen.n_sent_bytes > 10_000


# Credentials and TLS


@pytest.mark.parametrize("auth", ["basic", "digest", "digest-qop", "digest-stale", "both"])
def test_auth_with_the_right_password_then_frames(rtsp_server: RtspServer, auth: str) -> None:
    url = rtsp_server.url("h264", auth=auth, user="viewer", password="secret")
    assert numbers(url, 1) == [0]
    last = rtsp_server.credentials[-1]
    assert (last.user, last.valid) == ("viewer", True)
    assert last.password == ("secret" if last.scheme == "basic" else None)


@pytest.mark.parametrize("auth", ["basic", "digest", "digest-qop", "both"])
@pytest.mark.parametrize(("user", "password"), [("", ""), ("viewer", "wrong"), ("nobody", "secret")])
def test_auth_with_wrong_credentials_then_unauthorized(
    rtsp_server: RtspServer, auth: str, user: str, password: str
) -> None:
    with pytest.raises(av.error.HTTPUnauthorizedError):
        frames(rtsp_server.url("h264", auth=auth, user=user, password=password))
    assert not any(one.valid for one in rtsp_server.credentials)


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_auth_with_a_password_of_special_characters_then_frames(rtsp_server: RtspServer, auth: str) -> None:
    rtsp_server.users["tamu"] = NASTY
    assert numbers(rtsp_server.url("h264", auth=auth, user="tamu", password=NASTY), 1) == [0]


def test_tls_verified_with_the_authority_then_frames_are_right(
    rtsps_server: RtspServer, authority: TestAuthority
) -> None:
    url = rtsps_server.url("h264", speed=4)
    assert numbers(url, tls_verify="1", ca_file=str(authority.pem)) == list(range(10))
    assert rtsps_server.connections[-1].tls


def test_tls_with_an_unknown_authority_then_refused(rtsps_server: RtspServer) -> None:
    with pytest.raises(OSError):
        frames(rtsps_server.url("h264"), tls_verify="1")
    assert rtsps_server.requests == []


def test_tls_with_another_name_then_refused(clips: Clips, authority: TestAuthority) -> None:
    with (
        RtspServer(clips, tls=authority.context("camera.example")) as server,
        pytest.raises(OSError),
    ):
        frames(server.url("h264"), tls_verify="1", ca_file=str(authority.pem))


# By hand


@pytest.mark.parametrize("tls", [False, True])
def test_command_line_when_started_then_prints_urls_and_ends_on_a_signal(
    clips: Clips, tmp_path: Path, tls: bool
) -> None:
    pem = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "tests.servers.rtsp", str(clips["h264"])]
    command += ["--tls", str(pem)] if tls else []
    root = Path(__file__).resolve().parent.parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert url.startswith("rtsps://127.0.0.1:" if tls else "rtsp://127.0.0.1:")
        assert url.endswith(f"/{clips['h264'].stem}")
        assert numbers(url, 3, **({"tls_verify": "1", "ca_file": str(pem)} if tls else {})) == [0, 1, 2]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_command_line_when_a_clip_is_missing_then_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["no-such.mp4"])
    assert ended.value.code == 2
    assert "no such file: no-such.mp4" in capsys.readouterr().err


def test_gst_when_no_system_python_then_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gst_process, "SYSTEM_PYTHON", tmp_path / "python3")
    with (
        pytest.raises(gst_process.NotInstalledError, match=r"gir1\.2-gst-rtsp-server"),
        gst_process.GstServer({}, tmp_path),
    ):
        pass
