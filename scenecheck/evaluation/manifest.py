"""The labelled pictures: ``path,label,group`` and any further columns, every mistake found at once."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scenecheck.errors import UsageError
from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUIRED = ("path", "label", "group")
LABELS = {Label.STREET.value: Label.STREET, Label.INDOOR.value: Label.INDOOR}

MAX_BYTES = 256 << 20
"""A row has some 150 bytes; more than a million pictures is another file under this name."""

MAX_SLICE_VALUES = 64
"""A column with more values names its pictures rather than slicing them."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: ``path`` as written, ``file`` where it lies, ``slices`` the names of the slices it is in.

    ``line`` is where its row starts in the manifest; a row may span several when a cell is quoted.
    """

    line: int
    path: str
    file: Path
    label: Label
    group: str
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a manifest, in its order. ``unsliced`` names columns with too many values to slice by."""

    path: Path
    examples: tuple[Example, ...]
    unsliced: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 over the sorted paths, labels and groups: two evaluations of equal hash can be compared."""
        rows = sorted((e.path, e.label.value, e.group) for e in self.examples)
        return hashlib.sha256("\n".join("\t".join(row) for row in rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: line of the manifest, column, and what is wrong with it."""

    line: int
    column: str
    what: str


class ManifestError(UsageError):
    """A manifest, or pictures it names, are wrong; ``problems`` holds every mistake found."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path, self.problems = path, tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(
            "bad-manifest",
            f"{path}:{first.line} {first.column}: {first.what}{more}",
            "correct the manifest, or leave the row out; its columns are path,label,group and any others",
        )

    def __str__(self) -> str:
        return super().__str__()

    def __reduce__(self) -> tuple[type, tuple[Path, tuple[Problem, ...]]]:  # type: ignore[override]
        return type(self), (self.path, self.problems)

    @property
    def lines(self) -> list[str]:
        """A line for each mistake: file, line, column, what."""
        return [f"{self.path}:{p.line} {p.column}: {p.what}" for p in self.problems]


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises ManifestError with every mistake: missing columns, no rows, unknown labels, empty cells, duplicate
    paths, files that do not exist, a label without a single row.
    """
    raise NotImplementedError
