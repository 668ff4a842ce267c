"""Files on this machine: a film, a picture, a folder of pictures taken by one camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import av
import numpy as np

from scenecheck.decode import StreamDecoder, sampled_frames
from scenecheck.errors import ContentError, StreamError
from scenecheck.pictures import MAX_BYTES, SUFFIXES, decode_picture, kind_of
from scenecheck.source.ffmpeg import FILM_OPTIONS, opened, video_stream
from scenecheck.types import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenecheck.source.base import SourceOptions, Watch


MIN_SAMPLED = 2
"""Frames that sampling must bring, or a film is read in order instead."""


def still(data: bytes, name: str, *, at_s: float, watch: Watch, is_stale: bool = False) -> Frame:
    """A picture as a frame that cannot freeze. Raises ContentError."""
    picture = decode_picture(data, name)
    return Frame(picture=picture, at_s=at_s, arrived_s=watch.clock(), is_stale=is_stale, is_live=False)


@dataclass(slots=True)
class FileReader:
    """Frames of a film, or the one frame of a picture; which of the two its first bytes say."""

    path: Path
    options: SourceOptions

    @property
    def name(self) -> str:
        return str(self.path)

    def frames(self, watch: Watch) -> Iterator[Frame]:
        watch.enter("open")
        try:
            with self.path.open("rb") as file:
                head = file.read(16)
                if not head:
                    raise ContentError("empty", f"{self.name}: 0 bytes")
                file.seek(0)
                if kind_of(head):
                    yield still(file.read(MAX_BYTES + 1), self.name, at_s=0.0, watch=watch)
                else:
                    yield from film(file, self.name, options=self.options, watch=watch)
        except OSError as e:
            raise ContentError("unreadable", f"{self.name}: {e.strerror or 'cannot be read'}") from None


def film(file: BinaryIO, name: str, *, options: SourceOptions, watch: Watch) -> Iterator[Frame]:
    """Frames spread evenly over a seekable film; in order where it has no known duration."""
    with opened(file, name, watch, options=FILM_OPTIONS) as container:
        stream = video_stream(container, name)
        watch.enter("first-frame")
        n = 0
        duration_s = float(container.duration or 0) / av.time_base
        if duration_s > 0:
            for frame in sampled_frames(container, stream, options.frames, clock=watch.clock):
                watch.beat()
                n += 1
                yield frame
        if n < min(options.frames, MIN_SAMPLED) and file.seekable():
            # No known duration, or no keyframes to sample (intra refresh): read it from the start.
            if duration_s > 0:
                container.seek(0)
            every_s = max(options.every_s, duration_s / options.frames)
            decoder = StreamDecoder(stream, every_s=every_s, clock=watch.clock)
            for packet in container.demux(stream):
                watch.beat()
                for frame in decoder.feed(packet) if packet.size else decoder.end():
                    n += 1
                    yield frame
                watch.n_damaged = decoder.n_damaged
        if n == 0:
            raise StreamError("codec-damaged", f"{name}: no frame of it can be decoded whole")


@dataclass(slots=True)
class FolderReader:
    """The pictures of a folder, by name, as frames of one camera; at most ``frames``, spread evenly."""

    path: Path
    options: SourceOptions

    @property
    def name(self) -> str:
        return str(self.path)

    def frames(self, watch: Watch) -> Iterator[Frame]:
        watch.enter("open")
        try:
            paths = sorted(p for p in self.path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        except OSError as e:
            raise ContentError("unreadable", f"{self.name}: {e.strerror or 'cannot be read'}") from None
        if not paths:
            raise ContentError("no-pictures", f"{self.name}: no picture in this folder")
        watch.enter("first-frame")
        error: ContentError | None = None
        n_good = 0
        chosen = np.linspace(0, len(paths) - 1, min(self.options.frames, len(paths))).round().astype(int)
        for at_s, i in enumerate(chosen):
            watch.beat()
            try:
                frame = still(_read(paths[i]), str(paths[i]), at_s=float(at_s), watch=watch)
            except ContentError as e:
                watch.n_damaged += 1
                error = e
                continue
            n_good += 1
            yield frame
        if error is not None and n_good == 0:
            raise error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as e:
        raise ContentError("unreadable", f"{path}: {e.strerror or 'cannot be read'}") from None
