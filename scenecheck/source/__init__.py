"""Sources: whatever a camera, a recorder or a disk offers, as an iterator of trustworthy frames."""

from __future__ import annotations

import os
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
        scheme = _SCHEME.match(source)
        if scheme and not _WINDOWS_DRIVE.match(source) and not os.path.exists(source):
            if not source[scheme.end() :].startswith("//"):
                raise UsageError("unknown-scheme", f"{redact(source)}: no such file, and not an address")
            if scheme[1].lower() not in {"rtsp", "rtsps", "http", "https"}:
                raise UsageError("unknown-scheme", f"{scheme[1].lower()}://: nobody here speaks this scheme")
            source = Address.parse(source)
    if isinstance(source, Address):
        if source.scheme in {"http", "https"}:
            return HttpReader(source, options)
        if source.scheme in {"rtsp", "rtsps"}:
            return RtspReader(source, options)
        raise UsageError("unknown-scheme", f"{source.scheme}://: nobody here speaks this scheme")
    path = Path(source)
    try:
        if path.is_dir():
            return FolderReader(path, options)
        if path.is_file():
            return FileReader(path, options)
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists:
        raise UsageError("no-such-path", f"{path}: neither a file nor a folder", "give a file or a folder")
    raise UsageError("no-such-path", f"{redact(str(source))}: no such file or folder")
