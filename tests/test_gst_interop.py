"""A server that we did not write, Debian's gst-rtsp-server, is read right by PyAV."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import av
import pytest

from tests.servers.media import luma, read_number
from tests.test_source import watch

if TYPE_CHECKING:
    from tests.conftest import TestAuthority
    from tests.servers.gst_process import GstServer

pytestmark = pytest.mark.slow

N_FRAMES = 10
LIMIT_S = (5.0, 5.0)


def numbers(url: str, transport: str = "tcp", **options: str) -> list[int | None]:
    """The numbers of the first frames of ``url``."""
    settings = {"rtsp_transport": transport, "probesize": "32"} | options
    with av.open(url, options=settings, timeout=LIMIT_S) as container:
        frames: Any = itertools.islice(container.decode(video=0), N_FRAMES)
        return [read_number(luma(frame)) for frame in frames]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("clip", ["h264", "hevc"])
def test_play_over_each_transport_then_frames_are_right(
    gst_server: GstServer, clip: str, transport: str
) -> None:
    assert numbers(gst_server.url(clip), transport) == list(range(N_FRAMES))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_digest_with_the_right_password_then_frames_are_right(gst_server: GstServer, transport: str) -> None:
    url = gst_server.url("h264", "digest", user=gst_server.user, password=gst_server.password)
    assert numbers(url, transport) == list(range(N_FRAMES))


@pytest.mark.parametrize(("user", "password"), [("", ""), ("viewer", "wrong"), ("nobody", "secret")])
def test_digest_with_wrong_credentials_then_unauthorized(
    gst_server: GstServer, user: str, password: str
) -> None:
    with pytest.raises(av.error.HTTPUnauthorizedError):
        numbers(gst_server.url("h264", "digest", user=user, password=password))


def test_tls_verified_with_the_authority_then_frames_are_right(
    gst_server: GstServer, authority: TestAuthority
) -> None:
    url = gst_server.url("h264", "tls")
    assert numbers(url, tls_verify="1", ca_file=str(authority.pem)) == list(range(N_FRAMES))


def test_tls_with_an_unknown_authority_then_refused(gst_server: GstServer) -> None:
    with pytest.raises(OSError):
        numbers(gst_server.url("h264", "tls"), tls_verify="1")


def test_parameter_sets_before_each_slice_then_the_keyframe_comes_in_pieces(gst_server: GstServer) -> None:
    """What such cameras do to FFmpeg's demuxer, so that the decoder's cure is tested on the real thing."""
    options = {"rtsp_transport": "tcp", "probesize": "32"}
    with av.open(gst_server.url("h264-slices"), options=options, timeout=LIMIT_S) as container:
        packets = list(itertools.islice(container.demux(video=0), 12))
    times = [packet.dts for packet in packets]
    assert len(set(times)) < len(times), times
    repeated = [packet for packet in packets if times.count(packet.dts) > 1]
    assert any(packet.is_keyframe for packet in repeated)


# -- scenecheck itself against it --------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("clip", ["h264", "h264-slices", "hevc"])
def test_source_reads_keyframes_whole(gst_server: GstServer, clip: str, transport: str) -> None:
    seen = watch(gst_server.url(clip), transport=transport)
    assert (seen.code, seen.numbers) == (None, [0, 25])
    assert not any(frame.is_damaged for frame in seen.frames)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_source_answers_digest_and_tells_wrong_passwords(gst_server: GstServer, transport: str) -> None:
    good = gst_server.url("h264", "digest", user=gst_server.user, password=gst_server.password)
    assert watch(good, n=1, transport=transport).numbers == [0]
    bad = gst_server.url("h264", "digest", user=gst_server.user, password="canary")
    seen = watch(bad, transport=transport)
    assert seen.code == "auth-failed"
    assert "canary" not in repr(seen.error)
    assert watch(gst_server.url("no-such-stream")).code == "not-found"


def test_source_verifies_tls(gst_server: GstServer, authority: TestAuthority) -> None:
    url = gst_server.url("h264", "tls")
    assert watch(url).code == "tls-untrusted"
    assert watch(url, n=1, tls_ca=authority.pem).numbers == [0]
    assert watch(url, n=1, insecure=True).numbers == [0]
