"""All files of a report, each there whole or not at all, and nobody else's touched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scenecheck.atomic import write_whole
from scenecheck.errors import UsageError
from scenecheck.reporting.overview import overview
from scenecheck.reporting.page import html
from scenecheck.reporting.tables import COLUMNS, csv_table, json_lines, junit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scenecheck.reporting.overview import Overview
    from scenecheck.store import Store

_MARK_WITHIN = 2_000  # characters of a file among which ours can be recognised

FILES: dict[str, tuple[str, Callable[[Overview], str]]] = {
    "audit.html": ('content="scenecheck ', partial(html, language="en")),
    "audit.id.html": ('content="scenecheck ', partial(html, language="id")),
    "audit.csv": (",".join(COLUMNS), csv_table),
    "audit.jsonl": ('"scenecheck/feed/1"', json_lines),
    "audit.xml": ("scenecheck audit", junit),
}
"""What a report consists of: what marks a file as ours, and what makes it."""


def write_reports(store: Store, run: int, directory: Path) -> list[Path]:
    """Write the reports of a run into a directory, which is made if need be; returns the files.

    An earlier report there is replaced, other files stay. Raises UsageError ``no-such-run``; ``bad-option`` when
    the directory cannot be written, or holds a file of somebody else under one of our names: then nothing is
    written.
    """
    prepare(directory)
    found = overview(store, run)
    for name, (_, text) in FILES.items():
        write_whole(directory / name, text(found))
    return [directory / name for name in FILES]


def prepare(directory: Path) -> None:
    """Make the directory and see that a report may be written there; raises as `write_reports` does."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = [
            directory / name for name, (mark, _) in FILES.items() if _is_foreign(directory / name, mark)
        ]
    except FileExistsError:
        raise UsageError("bad-option", f"{directory}: is a file", "give a folder for the reports") from None
    except OSError as e:
        why = e.strerror or "cannot be used"
        raise UsageError("bad-option", f"{directory}: {why}", "give a place that can be written") from None
    if foreign:
        what = f"{foreign[0]}: is there already and is no report of scenecheck"
        raise UsageError("bad-option", what, "move it away, or give another folder")


def _is_foreign(path: Path, mark: str) -> bool:
    if not path.exists():
        return path.is_symlink()
    if not path.is_file():
        return True
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(_MARK_WITHIN)
    return bool(head) and mark not in head
