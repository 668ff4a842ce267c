"""HLS made from a clip with PyAV's muxer, and playlists with bad intentions."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

SEGMENT_S = 1.0
MADE_S = 60.0
"""A live playlist ends after this long: no test watches longer."""
WINDOW = 4


@dataclass
class Hls:
    """One clip as segments on disk, made at the first request. ``kind`` is mpegts or fmp4."""

    clip: Path
    directory: Path
    kind: str = "mpegts"
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lines: list[tuple[str, str]] = field(default_factory=list)
    _head: list[str] = field(default_factory=list)
    _live_from_s: float = 0.0

    def playlist(self, name: str) -> str | None:
        """``vod.m3u8``, ``live.m3u8`` (a window sliding in real time) or ``master.m3u8``; else None."""
        self._make()
        if name == "master.m3u8":
            return "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=640x360\nlive.m3u8\n"
        if name == "vod.m3u8":
            return self._text(0, len(self._lines), ended=True)
        if name == "live.m3u8":
            self._live_from_s = self._live_from_s or time.monotonic()
            last = WINDOW + int((time.monotonic() - self._live_from_s) / SEGMENT_S)
            last = min(last, len(self._lines))
            return self._text(max(0, last - WINDOW), last, ended=last == len(self._lines))
        return None

    def segment(self, name: str) -> bytes | None:
        self._make()
        path = self.directory / Path(name).name
        return path.read_bytes() if path.suffix in (".ts", ".m4s", ".mp4") and path.exists() else None

    def _text(self, first: int, last: int, *, ended: bool) -> str:
        lines = [*self._head, f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for info, name in self._lines[first:last]:
            lines += [info, name]
        return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else []), ""])

    def _make(self) -> None:
        with self._lock:
            if not self._lines:
                self._read()

    def _read(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "all.m3u8").exists():
            loop_clip(self.clip, self.directory / "all.m3u8", self.kind)
        info = ""
        for line in (self.directory / "all.m3u8").read_text().splitlines():
            if line.startswith("#EXTINF"):
                info = line
            elif line.startswith(("#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MAP")):
                self._head.append(line)
            elif line and not line.startswith("#"):
                self._lines.append((info, line))


def loop_clip(clip: Path, playlist: Path, kind: str) -> None:
    """Remux ``clip`` over and over into MADE_S of segments beside ``playlist``, times running on."""
    extension = "ts" if kind == "mpegts" else "m4s"
    options = {
        "hls_time": f"{SEGMENT_S:g}",
        "hls_list_size": "0",
        "hls_segment_type": kind,
        "hls_segment_filename": str(playlist.parent / f"segment%03d.{extension}"),
    }
    with av.open(str(clip)) as source, av.open(str(playlist), "w", format="hls", options=options) as output:
        stream = source.streams.video[0]
        target = output.add_stream_from_template(stream)
        packets: list[Any] = [packet for packet in source.demux(stream) if packet.size]
        time_base = packets[0].time_base
        frame = Fraction(1, 1) / (Fraction(stream.average_rate or 25) * time_base)
        length = max(p.pts for p in packets) - min(p.pts for p in packets) + round(frame)
        for n in range(math.ceil(MADE_S / float(length * time_base))):
            for packet in packets:
                output.mux(_shifted(packet, target, n * length))


def _shifted(packet: Any, stream: Any, by: int) -> Any:
    copy = av.Packet(bytes(packet))
    copy.stream, copy.time_base = stream, packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts + by, packet.dts + by, packet.duration
    copy.is_keyframe = packet.is_keyframe
    return copy


PLAYLISTS: dict[str, str] = {
    "file-segment": "a segment is a local file",
    "file-key": "the key is a local file",
    "file-map": "the initialisation section is a local file",
    "file-variant": "a variant playlist is a local file",
    "concat-segment": "a segment is concat: of local files",
    "subfile-segment": "a segment is subfile, of a local file",
    "host-segment": "a segment lies on another host",
    "host-key": "the key lies on another host",
    "host-map": "the initialisation section lies on another host",
    "host-variant": "a variant playlist lies on another host",
    "redirect-segment": "a segment is redirected to another host",
    "redirect-key": "the key is redirected to another host",
    "redirect-playlist": "the variant playlist is redirected to another host",
    "loop-variant": "a master playlist whose variant is itself",
    "endless": "a live playlist that never has a segment",
    "huge": "a playlist of 200,000 segments",
    "text": "text that is no playlist",
}
"""Hostile playlists by name with one line on what they try."""


def hostile(name: str, here: str, other: str, file: str) -> str | None:
    """The text of playlist ``name``, None if unknown.

    ``here`` and ``other`` are base URLs without a slash at the end; ``file`` is a local path. Good
    segments are those of ``{here}/hls/h264``.
    """
    good = f"{here}/hls/h264"
    there = f"{other}/hls/h264"
    away = f"{here}/redirect?to={other}/hls/h264"
    segments = {
        "file-segment": [f"file://{file}"],
        "concat-segment": [f"concat:{file}|{file}"],
        "subfile-segment": [f"subfile,,start,0,end,0,,:{file}"],
        "host-segment": [f"{there}/segment000.ts"],
        "redirect-segment": [f"{away}/segment000.ts"],
    }
    tags = {
        "file-key": f'#EXT-X-KEY:METHOD=AES-128,URI="file://{file}"',
        "host-key": f'#EXT-X-KEY:METHOD=AES-128,URI="{other}/key.bin"',
        "redirect-key": f'#EXT-X-KEY:METHOD=AES-128,URI="{here}/redirect?to={other}/key.bin"',
        "file-map": f'#EXT-X-MAP:URI="file://{file}"',
        "host-map": f'#EXT-X-MAP:URI="{there}/segment000.ts"',
    }
    variants = {
        "file-variant": f"file://{file}",
        "host-variant": f"{there}/vod.m3u8",
        "redirect-playlist": f"{away}/vod.m3u8",
        "loop-variant": f"{here}/hostile/loop-variant.m3u8",
    }
    if name in segments:
        return _media([], [*segments[name], f"{good}/segment001.ts"])
    if name in tags:
        return _media([tags[name]], [f"{good}/segment000.ts", f"{good}/segment001.ts"])
    if name in variants:
        return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\n{variants[name]}\n"
    rest = {
        "endless": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n",
        "huge": "",
        "text": "this is no playlist\n" * 50,
    }
    if name == "huge":
        return _media([], [f"{good}/segment{n:03d}.ts" for n in range(200_000)])
    return rest.get(name)


def _media(tags: list[str], segments: list[str]) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0", *tags]
    for one in segments:
        lines += ["#EXTINF:1.000000,", one]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
