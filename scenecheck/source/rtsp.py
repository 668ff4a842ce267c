"""RTSP cameras: FFmpeg plays the stream; where a password is at stake, we knock first ourselves.

Left to itself FFmpeg follows a redirect to another host and sends the password along. The protocol
whitelist keeps it from that; beside it, a stream with credentials is first asked for with a DESCRIBE of
our own, which follows redirects on the same host only. The same knock tells apart the failures that
FFmpeg reports all alike.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from scenecheck.decode import StreamDecoder
from scenecheck.errors import RefusedError, SourceError, StreamError, UnreachableError
from scenecheck.source.base import timeout_error
from scenecheck.source.ffmpeg import listen_to_ffmpeg, opened, packet_loss, video_stream
from scenecheck.source.tls import context, trust_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from scenecheck.redact import Address
    from scenecheck.source.base import SourceOptions, Watch
    from scenecheck.types import Frame

MAX_HEADER_BYTES = 65_536
"""Longest answer read: an SDP is a few hundred bytes, and a device that sends more is not one."""

MAX_REDIRECTS = 4

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}


def resolve(address: Address, port: int) -> None:
    """Look the host up. Raises UnreachableError ``host-unknown``; the caller bounds the time."""
    try:
        socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnreachableError(
            "host-unknown", f"{address}: the host name {address.host!r} is unknown"
        ) from None


@dataclass(slots=True)
class RtspReader:
    """Frames of an ``rtsp://`` or ``rtsps://`` stream."""

    address: Address
    options: SourceOptions

    @property
    def name(self) -> str:
        return str(self.address)

    def frames(self, watch: Watch) -> Iterator[Frame]:
        address = self.address
        resolve(address, _port(address))
        has_knocked = bool(address.user or address.password)
        if has_knocked:
            watch.enter("connect")
            address = knock(address, self.options, watch)
        try:
            yield from self._play(address, watch)
        except (RefusedError, UnreachableError) as e:
            if has_knocked or watch.phase != "open" or e.code == "open-timeout":
                raise
            # It failed at once. FFmpeg reports many causes alike: ask ourselves for the right one.
            watch.enter("connect")
            address = knock(address, self.options, watch)
            if address == self.address and e.code == "protocol-error":
                raise UnreachableError(
                    "connect-reset",
                    f"{self.name}: the device describes the stream, then drops the connection",
                ) from None
            if address == self.address:
                raise e from None
            yield from self._play(address, watch)

    def _play(self, address: Address, watch: Watch) -> Iterator[Frame]:
        udp = self.options.transport == "udp"
        watch.enter("open")
        if udp:
            listen_to_ffmpeg(warnings=True)
        url = address.url(with_credentials=True)
        with opened(url, self.name, watch, options=self._ffmpeg_options()) as container:
            stream = video_stream(container, self.name)
            watch.enter("first-frame")
            decoder = StreamDecoder(
                stream,
                every_s=self.options.every_s,
                may_decode_fully=not udp,
                n_lost=packet_loss.count if udp else lambda: 0,
                clock=watch.clock,
            )
            for packet in container.demux(stream):
                watch.beat()
                if packet.size:
                    yield from decoder.feed(packet)
                    watch.n_damaged = decoder.n_damaged
            yield from decoder.end()
        raise StreamError("stream-ended", f"{self.name}: the device closed the stream")

    def _ffmpeg_options(self) -> dict[str, str]:
        tls, udp = self.address.scheme == "rtsps", self.options.transport == "udp"
        # FFmpeg ignores an option it does not know without a word; the tests prove each of these works.
        options = {
            "rtsp_transport": self.options.transport,
            "protocol_whitelist": ",".join(
                ["tcp", *(["tls"] if tls else []), *(["udp", "rtp"] if udp else [])]
            ),
            "probesize": "32",  # the SDP names the codec; probing costs a second and throws keyframes away
            "timeout": str(int(self.options.connect_s * 1e6)),
            "allowed_media_types": "video",
        }
        if tls and not self.options.insecure:
            options |= {"tls_verify": "1", "ca_file": trust_file(self.options.tls_ca)}
        return options


def _port(address: Address) -> int:
    return address.port or _DEFAULT_PORTS[address.scheme]


def knock(address: Address, options: SourceOptions, watch: Watch) -> Address:
    """DESCRIBE the stream over a connection of our own and return the address that answers for it.

    Redirects are followed on the same host only. Raises SourceError with the precise cause.
    """
    for _ in range(MAX_REDIRECTS):
        dialogue = _Dialogue(address, options, watch)
        try:
            with dialogue:
                status, headers = dialogue.describe()
        except TimeoutError:
            raise timeout_error("open", str(address), options.open_s) from None
        except ssl.SSLError as e:
            raise _tls_error(address, e) from None
        except (ConnectionError, OSError):
            raise UnreachableError("connect-reset", f"{address}: the device dropped the connection") from None
        if not 300 <= status < 400:
            _raise_for(status, address)
            return address
        address = _redirected(address, headers.get("location", ""), options)
    raise RefusedError("redirected", f"{address}: more than {MAX_REDIRECTS} redirects")


def _redirected(address: Address, location: str, options: SourceOptions) -> Address:
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    to_same_place = (host, port or _port(address), parts.scheme.lower()) == (
        address.host.lower(),
        _port(address),
        address.scheme,
    )
    if to_same_place:
        return type(address)(
            address.scheme, host, port, parts.path, parts.query, address.user, address.password
        )
    if host and host in options.allow_hosts and parts.scheme.lower() in _DEFAULT_PORTS:
        return type(address)(parts.scheme.lower(), host, port, parts.path, parts.query)
    shown = host or "nowhere"
    raise RefusedError("redirected", f"{address}: the device redirects to another place ({shown})")


def _raise_for(status: int, address: Address) -> None:
    errors: dict[int, tuple[type[SourceError], str, str]] = {
        401: (RefusedError, "auth-failed", "user name or password refused"),
        403: (RefusedError, "forbidden", "the device forbids this stream"),
        404: (RefusedError, "not-found", "the device knows no such stream"),
        453: (UnreachableError, "server-busy", "the device has no bandwidth for another viewer"),
        461: (RefusedError, "transport-refused", "the device refuses this transport"),
        503: (UnreachableError, "server-busy", "the device has no place for another viewer"),
    }
    if status in errors:
        error, code, text = errors[status]
        raise error(code, f"{address}: {text}")
    if status >= 500:
        raise UnreachableError(
            "server-error", f"{address}: the device reports an error of its own ({status})"
        )
    if status >= 400:
        raise RefusedError(
            "protocol-error", f"{address}: the device refuses to describe the stream ({status})"
        )


def _tls_error(address: Address, e: ssl.SSLError) -> SourceError:
    if isinstance(e, ssl.SSLCertVerificationError):
        return RefusedError("tls-untrusted", f"{address}: TLS certificate: {e.verify_message}")
    return RefusedError("tls-failed", f"{address}: the TLS handshake failed")


class _Dialogue:
    """One RTSP connection (RFC 2326), just long enough for DESCRIBE with Basic or Digest credentials."""

    def __init__(self, address: Address, options: SourceOptions, watch: Watch) -> None:
        self._address, self._options, self._watch = address, options, watch
        self._socket: socket.socket | None = None
        self._cseq = 0
        self._ends_s = time.monotonic() + min(options.open_s, max(watch.remaining_s(), 0.05))

    def __enter__(self) -> Self:
        address, limit_s = self._address, self._watch.phase_limit_s()
        try:
            connection = socket.create_connection((address.host, _port(address)), timeout=limit_s)
        except TimeoutError:
            raise timeout_error("connect", str(address), limit_s) from None
        except ConnectionRefusedError:
            raise UnreachableError("connect-refused", f"{address}: connection refused") from None
        except OSError as e:
            raise UnreachableError("no-route", f"{address}: no route to the host ({e.strerror})") from None
        self._socket = connection
        self._watch.enter("open")
        if address.scheme == "rtsps":
            connection.settimeout(self._left_s())
            try:
                self._socket = context(self._options).wrap_socket(connection, server_hostname=address.host)
            except BaseException:
                connection.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def describe(self) -> tuple[int, dict[str, str]]:
        """Return status and headers, after answering a challenge when there are credentials."""
        status, headers, challenges = self._ask({})
        if status != 401 or not (self._address.user or self._address.password):
            return status, headers
        authorization = _authorization(challenges, self._address, "DESCRIBE", self._url)
        if authorization is None:
            return status, headers
        status, headers, _ = self._ask({"Authorization": authorization})
        return status, headers

    @property
    def _url(self) -> str:
        return self._address.url(with_credentials=False)

    def _left_s(self) -> float:
        self._watch.check()
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def _ask(self, headers: dict[str, str]) -> tuple[int, dict[str, str], list[str]]:
        assert self._socket is not None
        self._cseq += 1
        lines = [f"DESCRIBE {self._url} RTSP/1.0", f"CSeq: {self._cseq}", "Accept: application/sdp"]
        lines += [f"{k}: {v}" for k, v in headers.items()]
        self._socket.settimeout(self._left_s())
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > MAX_HEADER_BYTES:
                raise RefusedError("protocol-error", f"{self._address}: endless headers instead of an answer")
            self._read_into(data)
        status, found, challenges = _parse_answer(data[:end].decode("latin-1"), self._address)
        length = found.get("content-length", "0")
        n_body = int(length) if length.isdigit() else MAX_HEADER_BYTES + 1
        if n_body > MAX_HEADER_BYTES:
            raise RefusedError("protocol-error", f"{self._address}: an answer of {length[:20]} bytes")
        while len(data) < end + 4 + n_body:
            self._read_into(data)
        return status, found, challenges

    def _read_into(self, data: bytearray) -> None:
        assert self._socket is not None
        self._socket.settimeout(self._left_s())
        received = self._socket.recv(4096)
        if not received:
            raise ConnectionResetError
        data += received


def _parse_answer(text: str, address: Address) -> tuple[int, dict[str, str], list[str]]:
    first, *lines = text.split("\r\n")
    match = re.match(r"RTSP/\d\.\d (\d{3})", first)
    if not match:
        raise RefusedError("protocol-error", f"{address}: the port does not speak RTSP")
    headers, challenges = {}, []
    for line in lines:
        key, _, value = line.partition(":")
        headers[key.strip().lower()] = value.strip()
        if key.strip().lower() == "www-authenticate":
            challenges.append(value.strip())
    return int(match[1]), headers, challenges


def _authorization(challenges: list[str], address: Address, method: str, url: str) -> str | None:
    """Answer a challenge, Digest (RFC 7616: MD5, SHA-256) before Basic; None when it is neither."""
    by_scheme = {c.partition(" ")[0].lower(): c.partition(" ")[2] for c in reversed(challenges)}
    if "digest" in by_scheme:
        given = parse_keqv_list(parse_http_list(by_scheme["digest"]))
        algorithm = given.get("algorithm", "MD5").upper()
        digest = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}.get(algorithm)
        if digest is None:
            return None

        def h(text: str) -> str:
            return digest(text.encode()).hexdigest()

        realm, nonce = given.get("realm", ""), given.get("nonce", "")
        ha1, ha2 = h(f"{address.user}:{realm}:{address.password}"), h(f"{method}:{url}")
        fields = {"username": address.user.replace("\\", "\\\\").replace('"', '\\"')}
        fields |= {"realm": realm, "nonce": nonce, "uri": url}
        if "auth" in [q.strip() for q in given.get("qop", "").split(",")]:
            cnonce = secrets.token_hex(8)
            fields["response"] = h(f"{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}")
            tail = f', qop=auth, nc=00000001, cnonce="{cnonce}"'
        else:
            fields["response"], tail = h(f"{ha1}:{nonce}:{ha2}"), ""
        if "opaque" in given:
            fields["opaque"] = given["opaque"]
        if "algorithm" in given:
            tail += f", algorithm={algorithm}"
        return "Digest " + ", ".join(f'{k}="{v}"' for k, v in fields.items()) + tail
    if "basic" in by_scheme:
        return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    return None
