"""Secrets: taken out once, encoded once, and never shown."""

from __future__ import annotations

import base64
import string
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.errors import UsageError
from scenecheck.redact import MASK, Address, redact

PRINTABLE = st.text(
    alphabet=string.digits + string.ascii_letters + string.punctuation + "äß漢 ", min_size=3, max_size=24
)


@given(user=PRINTABLE, password=PRINTABLE)
def test_credentials_given_beside_the_address_survive_the_url_and_are_never_shown(
    user: str, password: str
) -> None:
    address = Address.parse("rtsp://192.0.2.7:554/live/1", user=user, password=password)
    inside = address.url(with_credentials=True)
    name, _, secret = inside.removeprefix("rtsp://").rpartition("@")[0].partition(":")
    assert (unquote(name), unquote(secret)) == (user, password)
    assert str(address) == "rtsp://192.0.2.7:554/live/1"
    shown = repr(address)
    nothing_secret = (
        "rtsp://192.0.2.7:554/live/1 Address(scheme='rtsp', host='192.0.2.7', port=554, path='/live/1')"
    )
    if password not in nothing_secret:
        assert password not in shown


@given(user=PRINTABLE, password=PRINTABLE)
def test_credentials_percent_encoded_in_the_address_are_read_back(user: str, password: str) -> None:
    text = f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@camera.example/x"
    address = Address.parse(text)
    assert (address.user, address.password, address.host) == (user, password, "camera.example")


@given(password=PRINTABLE)
def test_redact_removes_a_password_in_every_encoding_it_travels_in(password: str) -> None:
    address = Address.parse("rtsp://192.0.2.7/x", user="viewer", password=password)
    basic = base64.b64encode(f"viewer:{password}".encode()).decode()
    text = address.redact(
        f"<{password}> <{quote(password, safe='')}> <{basic}> {address.url(with_credentials=True)}"
    )
    # Cut at our own marks, so that a password like "***" or "<" cannot confuse the question.
    assert basic not in text
    assert text.replace(MASK, "").count(password) <= "<> <> <> rtsp://@192.0.2.7/x".count(password)


@pytest.mark.parametrize(
    ("text", "host", "user", "password"),
    [
        ("rtsp://admin:p@ss@cam/s1", "cam", "admin", "p@ss"),
        ("rtsp://admin:pa/s?s#w@192.0.2.1:554/s1", "192.0.2.1", "admin", "pa/s?s#w"),
        ("rtsp://admin:100%25@[2001:db8::1]:554/s1", "2001:db8::1", "admin", "100%"),
        ("rtsp://camera:554/snap@2x", "camera", "", ""),
        ("http://portal.example/s?mail=a@b.example", "portal.example", "", ""),
    ],
)
def test_address_splits_credentials_from_the_host(text: str, host: str, user: str, password: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.user, address.password) == (host, user, password)


def test_address_with_a_raw_password_nobody_can_split_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse("rtsp://admin:p@ss/w0rd@192.0.2.1/s1")
    assert caught.value.code == "bad-address"
    for part in ("admin", "p@ss", "w0rd"):
        assert part not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["rtsp://cam/a b", " rtsp://cam/a", "rtsp://cam/a\n", "rtsp:///x", "rtsp://cam:port/x"]
)
def test_malformed_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse(text)
    assert caught.value.code == "bad-address"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("open rtsp://u:canary@192.0.2.1/x failed", "canary"),
        ("open rtsp://u:can@ary@192.0.2.1/x failed", "ary"),
        ("GET /snap.cgi?user=canary&pwd=canary&channel=1", "canary"),
        ("Authorization: Digest username=canary, response=canary", "canary"),
        ("?access_token=canary;x=1", "canary"),
    ],
)
def test_redact_recognises_secrets_nobody_told_it_about(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert MASK in redact(text)


def test_query_secrets_are_masked_in_the_address_and_known_to_redact() -> None:
    address = Address.parse("http://cam/cgi/snap?user=bob&password=hunter2&channel=1")
    assert str(address) == "http://cam/cgi/snap?user=***&password=***&channel=1"
    assert "hunter2" not in address.redact("server said hunter2")
    assert "hunter2" not in repr(address)
