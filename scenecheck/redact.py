"""Addresses without their secrets, and texts cleaned of them.

A secret is taken out of an address once, here, kept in a field that no ``repr`` shows, and percent-
encoded once, here, when FFmpeg needs it inside a URL.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit

from scenecheck.errors import UsageError

MASK = "***"

# Query names under which cameras and portals take credentials (`/snapshot.cgi?user=a&pwd=b`).
_SECRET_NAME = re.compile(
    r"pass|pwd|psw|token|secret|auth|key|sig|credential|session|^(user|usr|login)", re.IGNORECASE
)
_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/?#\s@'\"]*(?:@[^/?#\s@'\"]*)*@", re.IGNORECASE)
_QUERY_SECRET = re.compile(
    r"(?P<name>[?&;](?:[\w.-]*(?:pass|pwd|psw|token|secret|auth|key|sig|credential|session)[\w.-]*"
    r"|user(?:name)?|usr|login))=[^&;#\s'\"]*",
    re.IGNORECASE,
)
_AUTH_HEADER = re.compile(r"(?P<name>(?:proxy-)?authorization\s*[:=]\s*)[^\r\n]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart, its secrets apart from it.

    ``path`` and ``query`` are kept as they were written. ``str()`` and ``repr()`` never show user,
    password or a secret of the query.
    """

    scheme: str
    host: str
    port: int | None
    path: str = ""
    query: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, *, user: str | None = None, password: str | None = None) -> Address:
        """Take a URL apart; ``user`` and ``password`` given beside it win over those inside.

        A password inside the URL may hold any printable character: percent-encoded, or raw when the
        last ``@`` before the host says where it ends. Raises UsageError ``bad-address``.
        """
        if not text.isprintable() or any(c.isspace() for c in text.strip()) or text != text.strip():
            shown = redact(text)
            raise UsageError(
                "bad-address",
                f"{shown!r}: an address holds no spaces and no control characters",
                "write a space as %20",
            )
        scheme, _, rest = text.partition("://")
        inner_user, inner_password = "", ""
        userinfo, has_userinfo, tail = _split_userinfo(rest)
        if has_userinfo:
            name, _, secret = userinfo.partition(":")
            inner_user, inner_password = unquote(name), unquote(secret)
        try:
            parts = urlsplit(f"{scheme}://{tail}")
            host, port = parts.hostname or "", parts.port
        except ValueError as e:
            raise UsageError("bad-address", f"{scheme}://{redact(tail)}: {e}") from None
        if not host:
            raise UsageError("bad-address", f"{scheme}://: the address names no host")
        return cls(
            scheme=scheme.lower(),
            host=host,
            port=port,
            path=parts.path,
            query=parts.query,
            user=inner_user if user is None else user,
            password=inner_password if password is None else password,
        )

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every string that must not be shown: password, user, secret query values."""
        values = [v for k, v in parse_qsl(self.query, keep_blank_values=False) if _SECRET_NAME.search(k)]
        return tuple(s for s in (self.password, self.user, *values) if s)

    def url(self, *, with_credentials: bool) -> str:
        """The address as a URL. With credentials it is a secret: for FFmpeg alone, never for a text."""
        who = ""
        if with_credentials and (self.user or self.password):
            who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return f"{self.scheme}://{who}{self.netloc}{self.path}" + (f"?{self.query}" if self.query else "")

    def __str__(self) -> str:
        pairs = parse_qsl(self.query, keep_blank_values=True)
        shown = [(k, MASK if _SECRET_NAME.search(k) else v) for k, v in pairs]
        query = "?" + urlencode(shown, safe="*:/,") if shown else ""
        return f"{self.scheme}://{self.netloc}{self.path}{query}"

    def redact(self, text: str) -> str:
        """Take this address's secrets, in every encoding they travel in, out of ``text``."""
        return redact(text, self.secrets, pair=(self.user, self.password))


_HOST_LIKE = re.compile(
    r"(\[[0-9a-f:.]+\]|localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:\d))(:\d+)?([/?#]|$)", re.IGNORECASE
)


def _split_userinfo(rest: str) -> tuple[str, bool, str]:
    """Split ``user:password@host/path`` at the ``@`` that ends the credentials.

    A raw ``/ ? #`` in the password ends the authority too early, and half a password would be shown
    as a host: where a later ``@`` also stands before something like a host, either that is the end
    of the credentials, or nobody can tell and UsageError ``bad-address`` asks for percent-encoding.
    """
    authority_end = min((i for i in (rest.find(c) for c in "/?#") if i >= 0), default=len(rest))
    at = rest.rfind("@", 0, authority_end)
    later = [
        m.start()
        for m in re.finditer("@", rest)
        if m.start() >= authority_end and _HOST_LIKE.match(rest, m.end())
    ]
    if at >= 0 and later:
        raise UsageError(
            "bad-address",
            "the address holds more than one '@' and cannot be split into credentials and host",
            "percent-encode the password, or give it with --user and --password-env",
        )
    if at < 0 and later:
        name, colon, port = rest[:authority_end].partition(":")
        if colon and "[" not in name and not port.isdigit():
            at = later[-1]
    return (rest[:at], True, rest[at + 1 :]) if at >= 0 else ("", False, rest)


def redact(text: str, secrets: tuple[str, ...] = (), *, pair: tuple[str, str] = ("", "")) -> str:
    """Replace known secrets and whatever looks like one (URL credentials, auth headers) by ``***``.

    ``secrets`` are replaced raw, percent-encoded (both styles) and as a ``repr`` escapes them;
    ``pair`` (user, password) also as Basic credentials. Secrets of one or two characters are only
    found where credentials stand in a URL or header: replacing every ``a`` of a text helps nobody.
    """
    forms = set()
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]):
            if len(form) > 2:
                forms.add(form)
    if pair[1]:
        forms.add(base64.b64encode(f"{pair[0]}:{pair[1]}".encode()).decode())
    text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    text = _AUTH_HEADER.sub(rf"\g<name>{MASK}", text)
    return _QUERY_SECRET.sub(rf"\g<name>={MASK}", text)
