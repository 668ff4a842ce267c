"""Opening a container with PyAV: bounded, fenced in, its errors told apart and free of secrets."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import av.logging

from scenecheck.errors import ContentError, RefusedError, SourceError, StreamError, UnreachableError
from scenecheck.pictures import MAX_PIXELS
from scenecheck.source.base import timeout_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from scenecheck.source.base import Watch

_FILM_FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "mpegts", "avi", "flv", "mpeg"),
    *("h264", "hevc", "mjpeg", "mpjpeg", "asf", "ogg", "ivf", "mxf", "m4v", "dhav"),
)
"""Demuxers a file may be read with. None of them opens other files, as playlists and scripts would."""

FILM_OPTIONS = {"format_whitelist": ",".join(_FILM_FORMATS), "protocol_whitelist": ""}


class _PacketLoss(logging.Handler):
    """Counts, per thread, the RTP packets that FFmpeg reports as missing; it says so in its log alone."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if "missed" in record.getMessage():
            self._local.n = self.count() + 1

    def count(self) -> int:
        return cast("int", getattr(self._local, "n", 0))


packet_loss = _PacketLoss()


def listen_to_ffmpeg(*, warnings: bool) -> None:
    """Have FFmpeg's errors (and warnings) reach exceptions and `packet_loss`, and nowhere else.

    FFmpeg's log level is one per process: it is only ever raised here.
    """
    logger = logging.getLogger("libav")
    if packet_loss not in logger.handlers:
        logger.addHandler(packet_loss)
        logger.propagate = False  # its texts name addresses
    wanted = av.logging.WARNING if warnings else av.logging.ERROR
    current = av.logging.get_level()
    if current is None or current < wanted:
        av.logging.set_level(wanted)


@contextlib.contextmanager
def opened(file: Any, name: str, watch: Watch, **kwargs: Any) -> Iterator[InputContainer]:
    """Open a container for reading and close it on the thread that opened it.

    ``file`` is an address, or a file object: then there is no peer, and what does not open is no film.
    PyAV's errors, while opening and inside the ``with`` block, leave as SourceError.
    """
    listen_to_ffmpeg(warnings=False)
    options = {"max_pixels": str(MAX_PIXELS), **kwargs.pop("options", {})}
    container: InputContainer | None = None
    try:
        timeout = (watch.phase_limit_s(), max(0.05, min(watch.read_s, watch.remaining_s())))
        container = av.open(file, options=options, timeout=timeout, **kwargs)
        yield container
    except (av.error.FFmpegError, OSError, ValueError) as e:
        if container is None and not isinstance(file, str):
            raise ContentError(
                "not-a-film", f"{name}: neither a picture nor a film that can be opened"
            ) from None
        raise explain(e, name, watch) from None
    finally:
        if container is not None:
            container.close()


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that can be decoded. Raises StreamError ``no-video``, ``codec-unsupported``."""
    streams = [s for s in container.streams.video if "attached_pic" not in str(getattr(s, "disposition", ""))]
    if not streams:
        raise StreamError("no-video", f"{name}: the stream carries no video")
    stream = streams[0]
    # None for a codec that FFmpeg knows no decoder for, whatever the annotations say.
    if cast("object", stream.codec_context) is None or not stream.codec_context.name:
        raise StreamError("codec-unsupported", f"{name}: the video's codec is not supported")
    return stream


_BY_CLASS: tuple[tuple[type[Exception], type[SourceError], str, str], ...] = (
    (av.error.HTTPUnauthorizedError, RefusedError, "auth-failed", "user name or password refused"),
    (av.error.HTTPForbiddenError, RefusedError, "forbidden", "the device forbids this stream"),
    (av.error.HTTPNotFoundError, RefusedError, "not-found", "the device knows no such stream"),
    (
        av.error.HTTPOtherClientError,
        UnreachableError,
        "server-busy",
        "the device has no place for another viewer",
    ),
    (av.error.HTTPServerError, UnreachableError, "server-error", "the device reports an error of its own"),
    (av.error.ConnectionRefusedError, UnreachableError, "connect-refused", "connection refused"),
    (
        av.error.ProtocolNotFoundError,
        RefusedError,
        "playlist-blocked",
        "it leads to a protocol that is not allowed",
    ),
    (av.error.DecoderNotFoundError, StreamError, "codec-unsupported", "the video's codec is not supported"),
    (av.error.DemuxerNotFoundError, ContentError, "not-a-film", "no known film format"),
)

_BY_ERRNO: dict[int, tuple[type[SourceError], str, str]] = {
    errno.ECONNREFUSED: (UnreachableError, "connect-refused", "connection refused"),
    errno.ECONNRESET: (UnreachableError, "connect-reset", "the device dropped the connection"),
    errno.EPIPE: (UnreachableError, "connect-reset", "the device dropped the connection"),
    errno.EHOSTUNREACH: (UnreachableError, "no-route", "no route to the host"),
    errno.ENETUNREACH: (UnreachableError, "no-route", "no route to the host's network"),
    errno.EPROTONOSUPPORT: (RefusedError, "transport-refused", "the device refuses this transport"),
    errno.EACCES: (ContentError, "unreadable", "permission denied"),
}

_BY_LOG: tuple[tuple[str, type[SourceError], str, str], ...] = (
    ("failed to resolve", UnreachableError, "host-unknown", "the host name is unknown"),
    ("certificate", RefusedError, "tls-untrusted", "the TLS certificate is not trusted for this host"),
    ("tls", RefusedError, "tls-failed", "the TLS handshake failed"),
    ("refused", UnreachableError, "connect-refused", "connection refused"),
)


def explain(e: Exception, name: str, watch: Watch) -> SourceError:
    """Turn a PyAV error into ours by class, errno, FFmpeg's last log line, phase and time in it.

    FFmpeg's own text is left out: it holds the address with its password.
    """
    for known, error, code, text in _BY_CLASS:
        if isinstance(e, known):
            return error(code, f"{name}: {text}")
    elapsed_s = watch.clock() - watch.since_s
    ran_out = elapsed_s >= 0.9 * min(watch.options.connect_s, watch.limit_s(watch.phase))
    if ran_out or isinstance(e, (av.error.TimeoutError, av.error.ExitError)):
        # Silence inside the dialogue comes as "invalid data" too: only the clock tells it apart.
        return timeout_error(watch.phase, name, elapsed_s)
    number = getattr(e, "errno", None)
    if number in _BY_ERRNO:
        error, code, text = _BY_ERRNO[cast("int", number)]
        return error(code, f"{name}: {text}")
    last_log = str((getattr(e, "log", None) or ("", "", ""))[2]).lower()
    for part, error, code, text in _BY_LOG:
        if part in last_log:
            return error(code, f"{name}: {text}")
    if watch.phase == "open":
        return RefusedError("protocol-error", f"{name}: the answer is not what this protocol expects")
    return StreamError("stream-ended", f"{name}: the stream broke off")
