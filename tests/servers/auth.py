"""Basic and Digest (RFC 2617, RFC 7616 with MD5) as a camera does them, for both servers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REALM = "IP Camera"
SCHEMES = ("basic", "digest", "digest-qop", "digest-stale", "both")
"""``digest-stale`` lets a nonce expire after its first use, once, as cameras do in mid-dialogue."""


@dataclass(frozen=True)
class Credentials:
    """What a client sent. ``password`` is known with Basic only; ``valid`` is our verdict."""

    scheme: str
    user: str
    password: str | None
    valid: bool


class Door:
    """The authentication state of one connection."""

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(16)
        self._n_accepted = 0

    def check(
        self, scheme: str, header: str, method: str, users: Mapping[str, str]
    ) -> tuple[Credentials | None, list[str]]:
        """The credentials in an Authorization ``header`` (None without) and the challenges to send.

        No challenge means: come in. Raises ValueError for a scheme not in SCHEMES.
        """
        if scheme not in SCHEMES:
            raise ValueError(f"auth is one of {SCHEMES}, got {scheme!r}")
        credentials = self._read(header, method, users)
        if credentials is None or not credentials.valid or not _accepts(scheme, credentials.scheme):
            return credentials, self.challenges(scheme)
        self._n_accepted += 1
        if scheme == "digest-stale" and self._n_accepted == 2:
            self._nonce = secrets.token_hex(16)
            return credentials, [self._digest("") + ", stale=true"]
        return credentials, []

    def challenges(self, scheme: str) -> list[str]:
        if scheme == "basic":
            return [f'Basic realm="{REALM}"']
        if scheme == "both":
            return [self._digest(""), f'Basic realm="{REALM}"']
        return [self._digest(', qop="auth"' if scheme == "digest-qop" else "")]

    def _digest(self, more: str) -> str:
        return f'Digest realm="{REALM}", nonce="{self._nonce}", algorithm=MD5{more}'

    def _read(self, header: str, method: str, users: Mapping[str, str]) -> Credentials | None:
        kind, _, rest = header.partition(" ")
        if kind.lower() == "basic":
            try:
                user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return Credentials("basic", "", rest, valid=False)
            return Credentials("basic", user, password, valid=users.get(user) == password)
        if kind.lower() == "digest":
            fields = {
                k.lower(): q or b
                for k, q, b in re.findall(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', rest)
            }
            user = re.sub(r"\\(.)", r"\1", fields.get("username", ""))
            valid = user in users and self._right(fields, method, user, users[user])
            return Credentials("digest", user, None, valid=valid)
        return None

    def _right(self, fields: Mapping[str, str], method: str, user: str, password: str) -> bool:
        if fields.get("nonce") != self._nonce or fields.get("realm") != REALM:
            return False
        secret = _md5(f"{user}:{REALM}:{password}")
        action = _md5(f"{method}:{fields.get('uri', '')}")
        middle = [self._nonce]
        if "qop" in fields:
            middle += [fields.get("nc", ""), fields.get("cnonce", ""), fields["qop"]]
        return fields.get("response") == _md5(":".join([secret, *middle, action]))


def _accepts(scheme: str, got: str) -> bool:
    return scheme == "both" or scheme.partition("-")[0] == got


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
