"""The HTTP server keeps its promises: right pictures and streams, credentials, TLS, and each fault."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import re
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import httpx
import numpy as np
import pytest

from tests.servers.bombs import gzip_bomb, jpeg_bomb, png_bomb
from tests.servers.http import HTTP_FAULTS, PLAYLISTS, HttpServer
from tests.servers.media import luma, read_number

if TYPE_CHECKING:
    from tests.conftest import TestAuthority
    from tests.servers.media import Clips

WAIT_S = 0.3
LIMIT_S = (5.0, 5.0)


def number(picture: bytes) -> int | None:
    """The number in an encoded picture."""
    grey = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    return read_number(grey)


def numbers(url: str, n: int = 10) -> list[int | None]:
    with av.open(url, timeout=LIMIT_S) as container:
        return [read_number(luma(frame)) for frame in itertools.islice(container.decode(video=0), n)]


def fetch(url: str, for_s: float = 0.6) -> tuple[int, str, bytes, str]:
    """Status, type, raw body and how it ended ("" for a complete answer, else the exception's name)."""
    status, kind, body, end = 0, "", b"", time.monotonic() + for_s
    try:
        with httpx.stream("GET", url, timeout=WAIT_S) as answer:
            status, kind = answer.status_code, answer.headers.get("content-type", "")
            for part in answer.iter_raw():
                body += part
                if time.monotonic() > end:
                    return status, kind, body, "flows"
    except httpx.HTTPError as error:
        return status, kind, body, type(error).__name__
    return status, kind, body, ""


# Pictures and streams


@pytest.mark.parametrize(
    ("mode", "expected"), [("static", [0, 0, 0]), ("frozen", [0, 0, 0]), ("changing", [0, 1, 2])]
)
def test_snapshot_by_mode_then_its_numbers(http_server: HttpServer, mode: str, expected: list[int]) -> None:
    assert [number(httpx.get(http_server.url(mode=mode)).content) for _ in range(3)] == expected


def test_snapshot_by_size_then_that_size(http_server: HttpServer) -> None:
    data = httpx.get(http_server.url(width=1280, height=720)).content
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (720, 1280, 3)


@pytest.mark.parametrize("length", [0, 1])
def test_mjpeg_when_read_then_numbers_run_on(http_server: HttpServer, length: int) -> None:
    data = httpx.get(http_server.url("stream.mjpg", n=5, fps=100, length=length)).content
    parts = re.findall(rb"--frame\r\n.*?\r\n\r\n(\xff\xd8.*?\xff\xd9)\r\n", data, re.DOTALL)
    assert [number(part) for part in parts] == list(range(5))
    assert (b"Content-Length" in data) == bool(length)


def test_mjpeg_by_pyav_then_frames_are_right(http_server: HttpServer) -> None:
    assert numbers(http_server.url("stream.mjpg", fps=50)) == list(range(10))


@pytest.mark.parametrize("path", ["hls/h264", "hls/hevc", "hls-fmp4/h264"])
def test_hls_whole_then_frames_run_over_segments_and_rounds(http_server: HttpServer, path: str) -> None:
    assert numbers(http_server.url(f"{path}/vod.m3u8"), 60) == [n % 50 for n in range(60)]


def test_hls_live_when_time_passes_then_the_window_slides(http_server: HttpServer) -> None:
    first = httpx.get(http_server.url("hls/h264/live.m3u8")).text
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in first
    assert first.count("#EXTINF") == 4
    assert "ENDLIST" not in first
    later = http_server.wait_for(
        lambda: (text := httpx.get(http_server.url("hls/h264/live.m3u8")).text) != first and text
    )
    assert "#EXT-X-MEDIA-SEQUENCE:1\n" in later


def test_hls_master_then_frames(http_server: HttpServer) -> None:
    shown = numbers(http_server.url("hls/h264/master.m3u8"), 3)
    assert shown in ([0, 1, 2], [25, 26, 27])  # FFmpeg starts three segments from the live edge


def test_file_when_served_then_read_by_ranges(http_server: HttpServer, clips: Clips) -> None:
    url = http_server.url("file/h264")
    assert numbers(url, 50) == list(range(50))
    part = httpx.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, clips["h264"].read_bytes()[100:200])
    assert httpx.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert (
        httpx.get(http_server.url("file/h264", ranges=0), headers={"Range": "bytes=1-2"}).status_code == 200
    )


@pytest.mark.parametrize("path", ["nothing", "file/nothing", "hls/nothing/vod.m3u8", "hls/h264/nothing.m3u8"])
def test_path_when_unknown_then_404(http_server: HttpServer, path: str) -> None:
    assert httpx.get(http_server.url(path)).status_code == 404


def test_connection_when_kept_alive_then_used_again(http_server: HttpServer) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            assert client.get(http_server.url()).status_code == 200
    assert [len(one.requests) for one in http_server.connections] == [3]


# Credentials, TLS, redirects


@pytest.mark.parametrize("auth", ["basic", "digest", "digest-qop", "digest-stale", "both"])
@pytest.mark.parametrize("password", ["secret", "wrong", ""])
def test_auth_by_scheme_then_only_the_right_password_enters(
    http_server: HttpServer, auth: str, password: str
) -> None:
    kind = httpx.BasicAuth if auth == "basic" else httpx.DigestAuth
    login = kind("viewer", password) if password else None
    url = http_server.url(auth=auth)
    statuses = [httpx.get(url, auth=login).status_code for _ in range(3)]
    assert statuses == [200 if password == "secret" else 401] * 3
    assert any(one.valid for one in http_server.credentials) == (password == "secret")
    assert [one.password for one in http_server.credentials if one.scheme == "basic"] == (
        [password] * 3 if auth == "basic" and password else []
    )


def test_tls_with_the_authority_then_a_picture_and_without_it_none(
    https_server: HttpServer, authority: TestAuthority
) -> None:
    trusting = ssl.create_default_context(cafile=authority.pem)
    assert number(httpx.get(https_server.url(), verify=trusting).content) == 0
    n_requests = len(https_server.requests)
    with pytest.raises(httpx.ConnectError):
        httpx.get(https_server.url())
    assert len(https_server.requests) == n_requests


def test_redirect_to_another_server_then_it_is_asked(
    http_server: HttpServer, clips: Clips, tmp_path: Path
) -> None:
    with HttpServer(clips, tmp_path) as other:
        answer = httpx.get(http_server.url(fault="redirect-host", to=other.url()), follow_redirects=True)
        assert (answer.status_code, len(other.requests)) == (200, 1)
        httpx.get(http_server.url("redirect", to=other.url()), follow_redirects=True)
        assert len(other.requests) == 2


# Faults of a snapshot: status, type, how it ends, bounds of the body's size.
MANY = 10**9
EXPECTED: dict[str, tuple[int, str, str, range]] = {
    "silent": (0, "", "ReadTimeout", range(1)),
    "close": (0, "", "RemoteProtocolError", range(1)),
    "drip-header": (0, "", "ReadTimeout", range(1)),
    "endless-headers": (0, "", "RemoteProtocolError", range(1)),
    "huge-content-length": (200, "image/jpeg", "ReadTimeout", range(2, 3)),
    "endless-body": (200, "image/jpeg", "flows", range(100_000, MANY)),
    "endless-chunks": (200, "image/jpeg", "flows", range(5, 100)),
    "drip-body": (200, "image/jpeg", "ReadTimeout", range(1, 2)),
    "stall-body": (200, "image/jpeg", "ReadTimeout", range(5000, 5001)),
    "close-body": (200, "image/jpeg", "RemoteProtocolError", range(5000, 5001)),
    "reset-body": (200, "image/jpeg", "ReadError", range(5001)),
    "truncated": (200, "image/jpeg", "", range(15_000, 30_000)),
    "wrong-type": (200, "application/octet-stream", "", range(30_000, 60_000)),
    "text": (200, "image/jpeg", "", range(17, 18)),
    "html": (200, "text/html", "", range(50, 200)),
    "empty": (200, "image/jpeg", "", range(1)),
    "junk": (0, "", "RemoteProtocolError", range(1)),
    "401": (401, "text/html", "", range(50, 200)),
    "403": (403, "text/html", "", range(50, 200)),
    "404": (404, "text/html", "", range(50, 200)),
    "500": (500, "text/html", "", range(50, 200)),
    "503": (503, "text/html", "", range(50, 200)),
    "gzip-bomb": (200, "image/jpeg", "", range(400_000, 600_000)),
    "png-bomb": (200, "image/png", "", range(100_000, 150_000)),
    "jpeg-bomb": (200, "image/jpeg", "", range(30_000, 60_000)),
    "redirect": (302, "text/plain", "", range(1)),
    "redirect-host": (302, "text/plain", "", range(1)),
    "redirect-loop": (302, "text/plain", "", range(1)),
    "redirect-file": (302, "text/plain", "", range(1)),
}


def test_expectations_when_compared_then_cover_every_fault() -> None:
    assert EXPECTED.keys() == HTTP_FAULTS.keys()


@pytest.mark.parametrize("fault", HTTP_FAULTS)
def test_fault_when_asked_for_then_shows_on_the_wire(http_server: HttpServer, fault: str) -> None:
    status, kind, ending, size = EXPECTED[fault]
    got = fetch(http_server.url(fault=fault))
    assert (got[0], got[1], got[3]) == (status, kind, ending)
    assert len(got[2]) in size
    http_server.wait_for(lambda: all(one.closed_s for one in http_server.connections))


def test_drip_when_a_rate_is_given_then_at_that_rate(http_server: HttpServer) -> None:
    start = time.monotonic()
    _, _, body, ending = fetch(http_server.url(fault="drip-body", rate=100), for_s=0.5)
    assert ending == "flows"
    assert len(body) < 100 * (time.monotonic() - start) * 1.5


@pytest.mark.parametrize(("fault", "ending"), [("stall-body", "ReadTimeout"), ("reset-body", "ReadError")])
def test_mjpeg_when_its_body_is_spoilt_then_it_ends_there(
    http_server: HttpServer, fault: str, ending: str
) -> None:
    _, kind, body, got = fetch(http_server.url("stream.mjpg", fault, fps=100, after=100_000), for_s=5)
    assert kind.startswith("multipart/x-mixed-replace")
    assert got == ending
    assert len(body) <= 100_000


def test_truncated_picture_when_decoded_then_half_is_missing(http_server: HttpServer) -> None:
    body = fetch(http_server.url(fault="truncated"))[2]
    assert body.startswith(b"\xff\xd8")
    assert not body.endswith(b"\xff\xd9")


def test_redirect_loop_when_followed_then_never_ends(http_server: HttpServer) -> None:
    with pytest.raises(httpx.TooManyRedirects):
        httpx.get(http_server.url(fault="redirect-loop"), follow_redirects=True)


def test_stop_when_every_fault_hangs_then_ends_in_time(clips: Clips, tmp_path: Path) -> None:
    server = HttpServer(clips, tmp_path).start()
    try:
        for fault in ("silent", "drip-header", "endless-body", "stall-body"):
            fetch(server.url(fault=fault), for_s=0.05)
    finally:
        start = time.monotonic()
        server.stop()
    assert time.monotonic() - start < 1


# Bombs


def test_gzip_bomb_when_unpacked_in_small_then_all_zeros() -> None:
    assert gzip.decompress(gzip_bomb(5_000_000)) == bytes(5_000_000)
    assert len(gzip_bomb()) < 600_000


def test_png_bomb_when_made_small_then_a_valid_black_picture() -> None:
    picture = cv2.imdecode(np.frombuffer(png_bomb(100), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (100, 100)
    assert not picture.any()
    assert png_bomb()[16:24] == (30_000).to_bytes(4, "big") * 2


def test_jpeg_bomb_when_read_then_its_header_claims_much() -> None:
    data = jpeg_bomb()
    at = data.index(b"\xff\xc0")
    assert data[at + 5 : at + 9] == (65_500).to_bytes(2, "big") * 2
    assert len(data) < 60_000


# Hostile playlists


@pytest.mark.parametrize("name", PLAYLISTS)
def test_hostile_playlist_when_fetched_then_names_its_target(http_server: HttpServer, name: str) -> None:
    answer = httpx.get(http_server.url(f"hostile/{name}.m3u8", to="http://other.test:81", file="/tmp/canary"))
    assert answer.status_code == 200
    assert ("/tmp/canary" in answer.text) == name.startswith(("file-", "concat-", "subfile-"))
    assert ("other.test:81" in answer.text) == name.startswith(("host-", "redirect-"))
    assert answer.text.startswith("#EXTM3U") == (name != "text")


@pytest.mark.parametrize("name", [name for name in PLAYLISTS if name.startswith(("host-", "redirect-"))])
def test_hostile_playlist_by_a_trusting_client_then_the_other_host_is_asked(
    http_server: HttpServer, clips: Clips, tmp_path: Path, name: str
) -> None:
    """So a test that finds nobody asked has found a guard, not a playlist that does not work."""
    with HttpServer(clips, tmp_path) as other:
        # A key or a map that is none raises: the asking is what counts.
        with contextlib.suppress(OSError, ValueError):
            numbers(http_server.url(f"hostile/{name}.m3u8", to=other.base_url), 30)
        assert other.requests
