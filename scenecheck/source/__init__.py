"""Sources: whatever a camera, a recorder or a disk offers, as an iterator of trustworthy frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from scenecheck.errors import UsageError
from scenecheck.redact import Address, redact
from scenecheck.source.base import Source, SourceOptions
from scenecheck.source.files import FileReader, FolderReader
from scenecheck.source.http import HttpReader
from scenecheck.source.rtsp import RtspReader

if TYPE_CHECKING:
    from scenecheck.source.base import Reader

__all__ = ["Source", "SourceOptions", "open_source"]

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):")
_WINDOWS_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")


def open_source(source: str | Path | Address, options: SourceOptions | None = None) -> Source:
    """Name what to look at: an address (rtsp, rtsps, http, https), a file, or a folder of pictures.

    Nothing is opened before the result is entered with ``with``. Raises UsageError for what no source
    can be: an unknown scheme (``unknown-scheme``), a path that does not exist (``no-such-path``), a
    malformed address (``bad-address``).
    """
    options = options or SourceOptions()
    return Source(_reader(source, options), options)


def _reader(source: str | Path | Address, options: SourceOptions) -> Reader:
    if isinstance(source, str):
        source = _parsed(source)
    if isinstance(source, Address):
        if source.scheme in {"http", "https"}:
            return HttpReader(source, options)
        if source.scheme in {"rtsp", "rtsps"}:
            return RtspReader(source, options)
        raise UsageError("unknown-scheme", f"{source.scheme}://: nobody here speaks this scheme")
    try:
        if source.is_dir():
            return FolderReader(source, options)
        if source.is_file():
            return FileReader(source, options)
        exists = source.exists()
    except (OSError, ValueError):
        exists = False
    if exists:
        raise UsageError("no-such-path", f"{source}: neither a file nor a folder", "give a file or a folder")
    raise UsageError("no-such-path", f"{redact(str(source))}: no such file or folder")


def _parsed(text: str) -> Path | Address:
    """An address where the text is one, else a path. Raises UsageError for an address nobody can open."""
    scheme = _SCHEME.match(text)
    if not scheme or _WINDOWS_DRIVE.match(text) or Path(text).exists():
        return Path(text)
    if not text[scheme.end() :].startswith("//"):
        raise UsageError("unknown-scheme", f"{redact(text)}: no such file, and not an address")
    if scheme[1].lower() not in {"rtsp", "rtsps", "http", "https"}:
        raise UsageError("unknown-scheme", f"{scheme[1].lower()}://: nobody here speaks this scheme")
    return Address.parse(text)
