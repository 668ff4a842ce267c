"""How MediaMTX, go2rtc and Frigate write down their cameras, as their own documentation has it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scenecheck.importers.base import Camera, UnusableError, camera_at, mapping, slug, text_of, texts_of
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenecheck.feeds.tree import Node
    from scenecheck.importers.base import Reading

_FRIGATE_VARIABLE = re.compile(r"\{(?P<name>FRIGATE_[A-Za-z0-9_]+)\}")
_GO2RTC_VARIABLE = re.compile(r"\$\{(?P<name>[^}{:]+)(?::(?P<default>[^}{]*))?\}")
_BOTH_VARIABLES = re.compile(
    rf"{_FRIGATE_VARIABLE.pattern}|\$\{{(?P<other>[^}}{{:]+)(?::(?P<default>[^}}{{]*))?\}}"
)
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_RESTREAM_PORT = 8554
_MAX_LINKS = 8
"""Streams of go2rtc that lead to one another: more is a circle."""

_MEDIAMTX_NO_SOURCE = {
    "publisher": "a client publishes it, the camera's address is not in here; give it as an rtsp:// address "
    "of this server",
    "redirect": "a redirect to another path or server",
    "rpicamera": "a camera inside the server itself; give it as an rtsp:// address of this server",
}


def mediamtx(root: dict[str, Node]) -> Iterator[Reading]:
    defaults = mapping(root.get("pathDefaults"))
    for name, node in mapping(root.get("paths")).items():
        yield name, node.line, partial(_mediamtx_path, name, defaults | mapping(node))


def _mediamtx_path(name: str, settings: dict[str, Node]) -> Camera:
    if name.startswith("~") or name in {"all", "all_others"}:
        raise UnusableError("a pattern for many paths, not one camera")
    source = text_of(settings.get("source")) or "publisher"
    if source.lower() in _MEDIAMTX_NO_SOURCE:
        raise UnusableError(_MEDIAMTX_NO_SOURCE[source.lower()])
    if re.search(r"\$(MTX_QUERY|G\d)", source):
        raise UnusableError("its address depends on who asks for it")
    # `sourceProtocol` until 1.0
    transport = (text_of(settings.get("rtspTransport")) or text_of(settings.get("sourceProtocol"))).lower()
    camera = camera_at(source, transport="udp" if transport == "udp" else "")
    notes = camera.notes
    if transport == "multicast":
        notes += ("multicast is not offered here; imported as tcp",)
    if text_of(settings.get("sourceFingerprint")):
        notes += ("its certificate is pinned by fingerprint; give the authority as tls_ca",)
    return replace(camera, notes=notes)


def go2rtc(root: dict[str, Node]) -> Iterator[Reading]:
    streams = mapping(root.get("streams"))
    for name, node in streams.items():
        yield name, node.line, partial(_go2rtc_stream, name, streams, _GO2RTC_VARIABLE)


def _go2rtc_stream(name: str, streams: dict[str, Node], variables: re.Pattern[str], depth: int = 0) -> Camera:
    """The first of a stream's sources that brings a picture we can open. Raises UnusableError."""
    node = streams.get(name)
    if node is not None and isinstance(node.value, dict):
        node = mapping(node).get("url")
    reasons = []
    for source in texts_of(node):
        try:
            return _go2rtc_source(source, name, streams, variables, depth)
        except UnusableError as e:
            reasons.append(str(e))
    raise UnusableError(reasons[0] if reasons else "no source is given")


def _go2rtc_source(
    source: str, name: str, streams: dict[str, Node], variables: re.Pattern[str], depth: int
) -> Camera:
    text, *options = source.split("#")
    if "media=audio" in options or (text.startswith("ffmpeg:") and _only_audio(options)):
        raise UnusableError("sound only")
    if any(option.startswith(("header=", "transport=ws")) for option in options):
        raise UnusableError("it needs HTTP headers or WebSockets of its own, which are not offered here")
    transport = "udp" if "input=rtsp/udp" in options else ""
    if not text.startswith("ffmpeg:"):
        return camera_at(text, variables, transport=transport)
    text = text.removeprefix("ffmpeg:")
    if "://" in text:
        return camera_at(text, variables, transport=transport)
    if text in streams:
        if text == name or depth >= _MAX_LINKS:
            raise UnusableError("its streams lead to one another, and to no camera")
        return _go2rtc_stream(text, streams, variables, depth + 1)
    if text.startswith(("device?", "virtual?")) or not text.strip():
        raise UnusableError("a device of the server itself; give the camera's rtsp:// or http:// address")
    return Camera(Path(text))


def _only_audio(options: list[str]) -> bool:
    kinds = {option.partition("=")[0] for option in options}
    return "audio" in kinds and "video" not in kinds


def frigate(root: dict[str, Node]) -> Iterator[Reading]:
    streams = mapping(mapping(root.get("go2rtc")).get("streams"))
    groups = {
        name: texts_of(mapping(node).get("cameras"))
        for name, node in mapping(root.get("camera_groups")).items()
    }
    base = mapping(root.get("ffmpeg")).get("input_args")
    for name, node in mapping(root.get("cameras")).items():
        tags = tuple(slug(group) for group, members in groups.items() if name in members)
        yield name, node.line, partial(_frigate_camera, mapping(node), streams, base, tags)


def _frigate_camera(
    camera: dict[str, Node], streams: dict[str, Node], base: Node | None, tags: tuple[str, ...]
) -> Camera:
    if text_of(camera.get("enabled")).lower() in {"false", "no", "off"}:
        raise UnusableError("disabled")
    ffmpeg = mapping(camera.get("ffmpeg"))
    inputs = ffmpeg.get("inputs")
    given = (
        [mapping(i) for i in inputs.value] if inputs is not None and isinstance(inputs.value, list) else []
    )
    # `detect` is the stream that Frigate itself looks at, and the small one.
    given.sort(key=lambda i: "detect" not in texts_of(i.get("roles")))
    reasons = []
    for one in given:
        arguments = " ".join(texts_of(one.get("input_args") or ffmpeg.get("input_args") or base))
        is_udp = "preset-rtsp-udp" in arguments or re.search(r"-rtsp_transport\s+udp\b", arguments)
        try:
            found = _frigate_input(text_of(one.get("path")), streams, "udp" if is_udp else "")
        except UnusableError as e:
            reasons.append(str(e))
            continue
        return replace(found, name=text_of(camera.get("friendly_name")), tags=tags)
    raise UnusableError(reasons[0] if reasons else "no input is given")


def _frigate_input(path: str, streams: dict[str, Node], transport: str) -> Camera:
    """An input of Frigate; one that reads the go2rtc inside leads to the camera behind it."""
    if not path:
        raise UnusableError("no path is given")
    found = camera_at(path, _FRIGATE_VARIABLE, transport=transport)
    address = found.address
    if isinstance(address, Address) and address.host in _LOCAL and address.port == _RESTREAM_PORT:
        stream = unquote(address.path.strip("/"))
        if stream not in streams:
            raise UnusableError("it reads Frigate's own restream, and `go2rtc` does not say of what")
        return _go2rtc_stream(stream, streams, _BOTH_VARIABLES)
    return found
