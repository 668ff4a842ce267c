"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from scenecheck.errors import UsageError


def write_whole(path: Path, text: str, *, mode: int = 0o644, force: bool = True) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never half of either.

    The part that is being written lies beside ``path`` and is removed when anything fails. Raises UsageError
    when ``path`` cannot be written, or is there already and ``force`` does not say to replace it.
    """
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(mode)  # mkstemp's 0600 would hide a report from the web server it was written for
            if force:
                part.replace(path)
            else:
                _claim(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise UsageError("bad-option", f"{path}: is there already", "--force replaces it") from None
    except OSError as e:
        raise UsageError(
            "bad-option", f"{path}: {e.strerror or 'cannot be written'}", "give a place that can be written"
        ) from None


def _claim(part: Path, path: Path) -> None:
    """Take a name that nobody has: unlike a rename, a link never takes the place of a file."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        path.touch(exist_ok=False)
        part.replace(path)
    else:
        part.unlink()
