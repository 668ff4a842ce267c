"""HTTP with a fence: the address's own host only, credentials for it alone, every body bounded."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

import httpx

from scenecheck.errors import ContentError, RefusedError, SourceError, StreamError, UnreachableError
from scenecheck.source.base import timeout_error
from scenecheck.source.tls import context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from scenecheck.redact import Address
    from scenecheck.source.base import SourceOptions, Watch

MAX_REDIRECTS = 4

MAX_BODY_BYTES = 64_000_000
"""Longest body kept in memory: a picture, or 20 s of a 24 Mbit/s segment."""


class Web:
    """Requests to one address's host, and to hosts allowed by name."""

    def __init__(self, address: Address, options: SourceOptions, watch: Watch) -> None:
        self._address, self._options, self._watch = address, options, watch
        self._home = httpx.URL(address.url(with_credentials=False))
        self._auth: httpx.Auth | None = None
        self._client = httpx.Client(
            verify=context(options),
            timeout=httpx.Timeout(options.read_s, connect=options.connect_s),
            follow_redirects=False,
            trust_env=False,  # neither a proxy nor a .netrc decides where a camera's password goes
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "scenecheck"},
        )
        watch.on_stop = self._client.close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _is_home(self, url: httpx.URL) -> bool:
        """Whether ``url`` is the address's own place: scheme, host and port, or its https side."""
        home = self._home
        same_host = url.host.lower() == home.host.lower()
        is_upgrade = (home.scheme, url.scheme) == ("http", "https") and home.port is None and url.port is None
        return same_host and (is_upgrade or (url.scheme == home.scheme and _port(url) == _port(home)))

    def allowed(self, url: httpx.URL) -> bool:
        return url.scheme in {"http", "https"} and (
            self._is_home(url) or url.host in self._options.allow_hosts
        )

    @contextlib.contextmanager
    def stream(self, url: httpx.URL | None = None) -> Iterator[httpx.Response]:
        """Send a GET and give the answer, its body unread; its status is a success. Raises SourceError."""
        target, name = url or self._home, str(self._address)
        try:
            for _ in range(MAX_REDIRECTS):
                self._watch.check()
                with self._send(target) as response:
                    if response.is_redirect:
                        target = target.join(response.headers.get("location", ""))
                        if not self.allowed(target):
                            where = target.netloc.decode() or target.scheme
                            raise RefusedError(
                                "redirected", f"{name}: it redirects to another place ({where})"
                            )
                        continue
                    _raise_for(response.status_code, name)
                    yield response
                    return
            raise RefusedError("redirected", f"{name}: more than {MAX_REDIRECTS} redirects")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, RuntimeError) as e:
            self._watch.check()
            raise self._explain(e) from None

    @contextlib.contextmanager
    def _send(self, url: httpx.URL) -> Iterator[httpx.Response]:
        auth = self._auth if self._is_home(url) else None
        with self._client.stream("GET", url, auth=auth) as response:
            fresh = None if self._auth or not self._is_home(url) else self._answer_to(response)
            if fresh is None:
                yield response
                return
        self._auth = fresh
        with self._client.stream("GET", url, auth=fresh) as response:
            yield response

    def _answer_to(self, response: httpx.Response) -> httpx.Auth | None:
        user, password = self._address.user, self._address.password
        if response.status_code != 401 or not (user or password):
            return None
        schemes = {c.strip().partition(" ")[0].lower() for c in response.headers.get_list("www-authenticate")}
        if "digest" in schemes:
            return httpx.DigestAuth(user, password)
        return httpx.BasicAuth(user, password) if "basic" in schemes else None

    def chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body as it comes, undecoded: no camera compresses a picture twice. Raises SourceError."""
        try:
            for chunk in response.iter_raw():
                self._watch.check()
                yield chunk
        except (httpx.HTTPError, httpx.StreamError, OSError, RuntimeError) as e:
            self._watch.check()
            raise self._explain(e, opened=True) from None

    def body(
        self, response: httpx.Response, chunks: Iterator[bytes] | None = None, head: bytes = b""
    ) -> bytes:
        """The whole body; ``head`` was read before. Raises ContentError ``too-large`` early."""
        data = bytearray(head)
        declared = response.headers.get("content-length", "")
        too_large = declared.isdigit() and int(declared) > MAX_BODY_BYTES
        for chunk in () if too_large else (chunks or self.chunks(response)):
            data += chunk
            too_large = len(data) > MAX_BODY_BYTES
            if too_large:
                break
        if too_large:
            raise ContentError(
                "too-large", f"{self._address}: the answer is longer than {MAX_BODY_BYTES} bytes"
            )
        return bytes(data)

    def _explain(self, e: Exception, *, opened: bool = False) -> SourceError:
        name, options = str(self._address), self._options
        if (known := _by_cause(e, name)) is not None:
            return known
        if isinstance(e, httpx.ConnectTimeout):
            return timeout_error("connect", name, options.connect_s)
        if isinstance(e, httpx.ConnectError):
            return UnreachableError("no-route", f"{name}: no route to the host")
        if isinstance(e, httpx.TimeoutException):
            return timeout_error("stream" if opened else "open", name, options.read_s)
        if opened:
            return StreamError("stream-ended", f"{name}: the device broke off in the middle")
        if isinstance(e, httpx.RemoteProtocolError) and "disconnected" not in str(e):
            return RefusedError("protocol-error", f"{name}: the port does not answer in HTTP")
        return UnreachableError("connect-reset", f"{name}: the device dropped the connection")


def _by_cause(e: BaseException, name: str) -> SourceError | None:
    """What the chain of causes knows better than httpx says."""
    cause: BaseException | None = e
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RefusedError("tls-untrusted", f"{name}: TLS certificate: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return RefusedError("tls-failed", f"{name}: the TLS handshake failed")
        if isinstance(cause, ConnectionRefusedError):
            return UnreachableError("connect-refused", f"{name}: connection refused")
        cause = None if cause is None else cause.__cause__ or cause.__context__
    return None


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _raise_for(status: int, name: str) -> None:
    errors: dict[int, tuple[type[SourceError], str, str]] = {
        401: (RefusedError, "auth-failed", "user name or password refused"),
        403: (RefusedError, "forbidden", "the device forbids this"),
        404: (RefusedError, "not-found", "the device knows nothing under this path"),
        410: (RefusedError, "not-found", "the device has it no more"),
        429: (UnreachableError, "server-busy", "the device asks for fewer requests"),
        503: (UnreachableError, "server-busy", "the device has no place for another viewer"),
    }
    if status in errors:
        error, code, text = errors[status]
        raise error(code, f"{name}: {text} ({status})")
    if status >= 500:
        raise UnreachableError("server-error", f"{name}: the device reports an error of its own ({status})")
    if status >= 300:
        raise RefusedError("protocol-error", f"{name}: the device refuses the request ({status})")
