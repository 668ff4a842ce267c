"""Sources behind http(s): the same contract, a fence around every playlist, credentials at home only."""

from __future__ import annotations

from typing import Any

import pytest

from scenecheck.redact import Address
from tests.servers.hls import PLAYLISTS
from tests.servers.http import HTTP_FAULTS, HttpServer
from tests.test_source import QUICK, watch


def test_snapshot_that_changes_gives_frames_that_never_count_as_live(http_server: HttpServer) -> None:
    seen = watch(http_server.url("snapshot.jpg", mode="changing"))
    assert (seen.code, len(seen.frames)) == (None, 2)
    assert not any(f.is_live for f in seen.frames)


def test_snapshot_that_stays_the_same_is_one_still_picture(http_server: HttpServer) -> None:
    seen = watch(http_server.url("snapshot.jpg"), n=99)
    assert (seen.code, len(seen.frames)) == (None, 1)


@pytest.mark.parametrize("length", [0, 1])
def test_mjpeg_is_sampled_in_real_time(http_server: HttpServer, length: int) -> None:
    seen = watch(http_server.url("stream.mjpg", length=length), n=3, every_s=0.3)
    assert seen.code is None
    assert None not in seen.numbers
    gaps = [b.at_s - a.at_s for a, b in zip(seen.frames, seen.frames[1:], strict=False)]
    assert all(0.25 < gap < 1.0 for gap in gaps)


@pytest.mark.parametrize("kind", ["hls", "hls-fmp4"])
@pytest.mark.parametrize("playlist", ["vod.m3u8", "live.m3u8", "master.m3u8"])
def test_hls_gives_keyframes(http_server: HttpServer, kind: str, playlist: str) -> None:
    seen = watch(http_server.url(f"{kind}/h264/{playlist}"))
    assert seen.code is None
    assert set(seen.numbers) == {0, 25}


def test_film_over_http_is_sampled_like_a_file(http_server: HttpServer) -> None:
    seen = watch(http_server.url("file/hevc-bframes"), n=99, frames=4)
    assert (seen.code, len(seen.frames)) == (None, 4)
    assert None not in seen.numbers


# What a client must say of each fault of a snapshot; None: it gives the picture all the same.
EXPECTED: dict[str, str | tuple[str, ...] | None] = {
    "silent": "open-timeout",
    "close": "connect-reset",
    "drip-header": "open-timeout",
    "endless-headers": ("open-timeout", "protocol-error"),
    "huge-content-length": ("open-timeout", "stream-stalled", "too-large"),
    "endless-body": ("open-timeout", "too-large"),
    "endless-chunks": "not-a-picture",
    "drip-body": ("open-timeout", "stream-stalled"),
    "stall-body": ("stream-stalled", "open-timeout"),
    "close-body": "stream-ended",
    "reset-body": "stream-ended",
    "truncated": "picture-damaged",
    "wrong-type": None,
    "text": "not-a-picture",
    "html": "not-a-picture",
    "empty": "empty",
    "junk": "protocol-error",
    "401": "auth-failed",
    "403": "forbidden",
    "404": "not-found",
    "500": "server-error",
    "503": "server-busy",
    "gzip-bomb": "not-a-picture",
    "png-bomb": "too-large",
    "jpeg-bomb": "too-large",
    "redirect": None,
    "redirect-host": "redirected",
    "redirect-loop": "redirected",
    "redirect-file": "redirected",
}


def test_every_fault_of_the_server_has_its_expectation() -> None:
    assert set(EXPECTED) == set(HTTP_FAULTS)


@pytest.mark.parametrize("fault", EXPECTED)
def test_http_fault_ends_on_time_with_its_code(http_server: HttpServer, fault: str) -> None:
    expected = EXPECTED[fault]
    seen = watch(http_server.url("snapshot.jpg", fault), n=1)
    if expected is None:
        assert (seen.code, len(seen.frames)) == (None, 1)
    else:
        assert seen.code in ((expected,) if isinstance(expected, str) else expected)
        assert seen.frames == []
    assert seen.seconds < QUICK["deadline_s"] + 0.7


@pytest.mark.parametrize("fault", ["stall-body", "close-body", "reset-body", "truncated"])
def test_mjpeg_that_breaks_off_never_gives_half_a_picture(http_server: HttpServer, fault: str) -> None:
    seen = watch(http_server.url("stream.mjpg", fault))
    assert all(
        number is not None or f.is_damaged for number, f in zip(seen.numbers, seen.frames, strict=True)
    )
    if fault != "truncated":
        assert seen.frames == []
        assert seen.code in {
            "stream-stalled",
            "stream-ended",
            "first-frame-timeout",
            "open-timeout",
            "codec-damaged",
        }


# FFmpeg takes "concat:…" and "subfile,…" for names beside the playlist, and plays what is there.
PLAYED = {"huge", "concat-segment", "subfile-segment"}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_hostile_playlist_reaches_no_other_place(
    http_server: HttpServer, https_server: HttpServer, name: str, tmp_path: Any
) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"G" * 1880)
    seen = watch(http_server.url(f"hostile/{name}.m3u8", to=https_server.base_url, file=str(secret)))
    assert https_server.requests == []
    assert https_server.connections == []
    if name in PLAYED:
        assert seen.code in {None, "not-found", "open-timeout"}
        assert set(seen.numbers) <= {0, 25}
    else:
        assert seen.code in {"playlist-blocked", "redirected", "no-video", "not-a-film", "open-timeout"}
    if name.startswith(("file", "host")):
        assert seen.code == "playlist-blocked"
    assert seen.seconds < QUICK["deadline_s"] + 0.7


def test_another_host_allowed_by_name_is_followed_without_credentials(
    http_server: HttpServer, tmp_path_factory: pytest.TempPathFactory, clips: Any
) -> None:
    http_server.auth = "basic"
    with HttpServer(clips, tmp_path_factory.mktemp("other"), host="127.0.0.2") as other:
        login = {"user": "viewer", "password": "secret"}
        url = http_server.url("redirect", to=other.url("snapshot.jpg"), **login)
        assert watch(url).code == "redirected"
        assert other.connections == []
        seen = watch(url, n=1, allow_hosts=frozenset({"127.0.0.2"}))
        assert (seen.code, len(seen.frames)) == (None, 1)
        assert other.credentials == []
        assert http_server.credentials != []


@pytest.mark.parametrize("auth", ["basic", "digest"])
@pytest.mark.parametrize("path", ["snapshot.jpg", "stream.mjpg", "hls/h264/vod.m3u8"])
def test_http_credentials_of_any_printable_character_are_understood(
    http_server: HttpServer, auth: str, path: str
) -> None:
    password = "p@ss:w/o?r#d %41+&=\"'<>[]{}|\\^`~!$*(),;"
    http_server.auth, http_server.users = auth, {"viewer": password}
    good = watch(Address.parse(http_server.url(path), user="viewer", password=password), n=1)
    assert (good.code, len(good.frames)) == (None, 1)
    bad = watch(Address.parse(http_server.url(path), user="viewer", password="canary"), n=1)
    assert bad.code == "auth-failed"
    assert "canary" not in repr(bad.error)


def test_https_is_verified_unless_told_otherwise(https_server: HttpServer, authority: Any) -> None:
    for path in ("snapshot.jpg", "hls/h264/vod.m3u8"):
        url = https_server.url(path)
        assert watch(url).code == "tls-untrusted"
        assert watch(url, n=1, tls_ca=authority.pem).code is None
        assert watch(url, n=1, insecure=True).code is None


def test_https_to_a_port_that_speaks_no_tls_says_so(http_server: HttpServer) -> None:
    seen = watch(http_server.url().replace("http://", "https://"))
    assert seen.code in {"tls-failed", "open-timeout", "connect-reset", "connect-timeout"}


def test_a_snapshot_old_by_its_own_clock_is_stale() -> None:
    import httpx

    from scenecheck.source.http import _is_stale

    def answer(made: str) -> httpx.Response:
        return httpx.Response(200, headers={"date": "Tue, 24 Nov 2026 12:00:00 GMT", "last-modified": made})

    assert _is_stale(answer("Tue, 24 Nov 2026 11:50:00 GMT"))
    assert not _is_stale(answer("Tue, 24 Nov 2026 11:58:00 GMT"))
    assert not _is_stale(answer("not a date"))
    assert not _is_stale(httpx.Response(200))
