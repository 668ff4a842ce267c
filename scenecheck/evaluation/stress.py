"""What each named corruption, at each severity, does to a model: ranking, drift of p_indoor, verdicts lost.

The corruptions are those that training augments with (`corruptions`), besides `corruptions.looks_like_cctv`,
which strings four of them together, and ``occlusion``, which training never shows.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from scenecheck.conditions import conditions
from scenecheck.errors import UsageError
from scenecheck.evaluation import corruptions
from scenecheck.evaluation.metrics import auroc
from scenecheck.evaluation.results import StressCell, StressReport
from scenecheck.evaluation.scoring import single_threaded_opencv, workers_for
from scenecheck.preprocess import TILE_SIZE, picture_from_bgr, tiles
from scenecheck.source import SourceOptions, open_source
from scenecheck.types import Label, Sighting
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scenecheck.adapter import Model
    from scenecheck.evaluation.manifest import Example, Manifest

SEVERITIES = (0.25, 0.5, 1.0)
SEED = 7

CAMERA_SIZE = (360, 640)
"""Rows and columns to which a picture is brought first, a camera's common sub-stream: one size, so that a
severity means the same to every picture, whatever it was taken with."""

MAX_PICTURES = 200
"""Enough cameras to see a shift of a percent; at 81 versions of each, minutes on two cores."""

_CHUNK = 32
"""Pictures held in memory at once (22 MB), and tiles given to the model at once."""

_READ_S = 30.0
"""For one file of this machine's disk, a film's first frame included."""

CORRUPTIONS: dict[str, corruptions.Corruption] = {
    "looks_like_cctv": corruptions.looks_like_cctv,
    **corruptions.CORRUPTIONS,
}


def stress(
    manifest: Manifest,
    model: Model,
    *,
    names: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[float] = SEVERITIES,
    seed: int = SEED,
    per_group: int = 1,
    max_pictures: int = MAX_PICTURES,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StressReport:
    """Corrupt some pictures of each group in every way and judge them.

    ``per_group`` pictures of each group are taken, spread evenly, ``max_pictures`` in all, evenly from both
    labels; of a clip its first frame. A corrupted picture depends on ``seed``, its path and the corruption
    alone: not on order, company or severity, so that a picture's dirt, drops and dates lie in the same places
    at every severity. ``workers`` are as for `evaluate`; ``progress`` is told how many tiles of how many are
    done.

    Raises UsageError for an unknown corruption or a severity outside 0..1, SourceError for a picture that
    cannot be read, ModelError when the model fails.
    """
    _check(names, severities)
    chosen = sample(manifest.examples, per_group=per_group, max_pictures=max_pictures)
    clean: list[Sighting] = []
    found: dict[tuple[str, float], list[Sighting]] = {(n, s): [] for n in names for s in severities}
    total, done = len(chosen) * (len(found) + 1), 0
    with single_threaded_opencv(), ThreadPoolExecutor(workers or workers_for(model)) as pool:
        for at in range(0, len(chosen), _CHUNK):
            some = chosen[at : at + _CHUNK]
            chunk = _Chunk(model, seed, [e.path for e in some], list(pool.map(_read, some)))
            clean += chunk.judged(None)
            done += len(some)
            for version, sightings in zip(found, pool.map(chunk.judged, found), strict=True):
                found[version] += sightings
                done += len(some)
                if progress:
                    progress(done, total)
    return _report(manifest, model, chosen, clean, found, seed=seed)


def sample(examples: Sequence[Example], *, per_group: int, max_pictures: int) -> list[Example]:
    """``per_group`` examples of each group, spread evenly; of more than ``max_pictures`` an even share of each
    label's, at least one."""
    groups: dict[tuple[Label, str], list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.label, example.group].append(example)
    by_label: dict[Label, list[Example]] = defaultdict(list)
    for (label, _), members in groups.items():
        by_label[label] += _spread(members, per_group)
    n = sum(map(len, by_label.values()))
    if n > max_pictures:
        by_label |= {k: _spread(v, max(1, max_pictures * len(v) // n)) for k, v in by_label.items()}
    return [e for members in by_label.values() for e in members]


def _spread(members: list[Example], n: int) -> list[Example]:
    """At most ``n`` members, from the middles of ``n`` equal shares."""
    n = min(n, len(members))
    return [members[(2 * i + 1) * len(members) // (2 * n)] for i in range(n)]


def generator(seed: int, corruption: str, path: str) -> np.random.Generator:
    """The generator of one picture under one corruption: the same whatever else is asked."""
    digest = hashlib.sha256(f"{corruption}\0{path}".encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:8], "little")))


class _Chunk:
    """Some pictures ``uint8 [h, w, 3]`` RGB in memory, to be judged in many versions."""

    def __init__(
        self, model: Model, seed: int, paths: list[str], pictures: list[corruptions.Picture]
    ) -> None:
        self._model, self._seed, self._paths, self._pictures = model, seed, paths, pictures

    def judged(self, version: tuple[str, float] | None) -> list[Sighting]:
        """Every picture corrupted by name and severity, or as it is, with the product's own conditions."""
        pictures = [picture_from_bgr(np.ascontiguousarray(rgb[..., ::-1])) for rgb in self._versions(version)]
        spec = self._model.card.input
        # The limits of conditions are for tiles of our size, and are to be the same for every model.
        ours = batch = tiles(pictures)
        if (spec.height, spec.width) != TILE_SIZE:
            batch = tiles(pictures, (spec.height, spec.width))
        n = len(batch)
        unfit = conditions(ours, damaged=[False] * n, stale=[False] * n, live=[False] * n, at_s=[0.0] * n)
        scores = self._model.score(batch)
        return [Sighting(0.0, float(scores.p_indoor[i]), unfit[i] | scores.conditions(i)) for i in range(n)]

    def _versions(self, version: tuple[str, float] | None) -> list[corruptions.Picture]:
        if version is None:
            return self._pictures
        name, severity = version
        return [
            CORRUPTIONS[name](rgb, severity, generator(self._seed, name, path))
            for rgb, path in zip(self._pictures, self._paths, strict=True)
        ]


def _read(example: Example) -> corruptions.Picture:
    """The picture, or a clip's first frame, at `CAMERA_SIZE`: ``uint8 [360, 640, 3]`` RGB."""
    with open_source(example.file, SourceOptions(frames=1, deadline_s=_READ_S)) as source:
        frame = next(iter(source))
    return np.ascontiguousarray(tiles([frame.picture], CAMERA_SIZE)[0].transpose(1, 2, 0))


def _check(names: Sequence[str], severities: Sequence[float]) -> None:
    for name in names:
        if name not in CORRUPTIONS:
            raise UsageError("bad-option", f"corruption {name}: expected one of {', '.join(CORRUPTIONS)}")
    for severity in severities:
        if not 0.0 <= severity <= 1.0:
            raise UsageError("bad-option", f"severity {severity}: expected 0 to 1")


def _report(
    manifest: Manifest,
    model: Model,
    chosen: list[Example],
    clean: list[Sighting],
    found: dict[tuple[str, float], list[Sighting]],
    *,
    seed: int,
) -> StressReport:
    y = np.array([e.label is Label.INDOOR for e in chosen], np.int64)
    before, called = _p(clean), _called(chosen, clean, model)
    table: dict[str, list[StressCell]] = defaultdict(list)
    for (name, _), sightings in found.items():
        p, now = _p(sightings), _called(chosen, sightings, model)
        turned = {group: new for group, new in now.items() if new is not called[group]}
        table[name].append(
            StressCell(
                auroc=round(auroc(p, y), 4),
                shift_street=round(float((p - before)[y == 0].mean()), 4),
                shift_indoor=round(float((p - before)[y == 1].mean()), 4),
                missed=[g for (label, g), new in turned.items() if label is not new is Label.STREET],
                flagged=[g for (label, g), new in turned.items() if label is not new is Label.INDOOR],
                unknown=[g for (_, g), new in turned.items() if new is Label.UNKNOWN],
            )
        )
    return StressReport(
        frames=len(chosen),
        indoor_frames=int(y.sum()),
        of_examples=len(manifest.examples),
        seed=seed,
        clean_auroc=round(auroc(before, y), 4),
        severities=list(dict.fromkeys(severity for _, severity in found)),
        corruptions=table,
    )


def _p(sightings: list[Sighting]) -> NDArray[np.float64]:
    return np.array([s.p_indoor for s in sightings])


def _called(chosen: list[Example], sightings: list[Sighting], model: Model) -> dict[tuple[Label, str], Label]:
    """The product's verdict on each group, by its truth and name."""
    of_group: dict[tuple[Label, str], list[Sighting]] = defaultdict(list)
    for example, sighting in zip(chosen, sightings, strict=True):
        of_group[example.label, example.group].append(sighting)
    return {group: judge(seen, model.card.thresholds).label for group, seen in of_group.items()}


def rows(report: StressReport) -> list[list[str]]:
    """The report as rows of text for any table, a heading first.

    A cell is AUROC, then in brackets the mean shifts of streets and rooms, then verdicts lost: rooms called
    street (missed), streets called indoor (flagged), groups without an answer (unknown).
    """
    table = [["corruption", *(f"severity {s:g}" for s in report.severities)]]
    for name, cells in report.corruptions.items():
        table.append([name, *map(_cell, cells)])
    return table


def _cell(cell: StressCell) -> str:
    lost = [f"{len(v)} {k}" for k, v in
            (("missed", cell.missed), ("flagged", cell.flagged), ("unknown", cell.unknown)) if v]  # fmt: skip
    shifts = f"{cell.auroc:.4f} ({cell.shift_street:+.3f}, {cell.shift_indoor:+.3f})"
    return ", ".join([shifts, *lost])


def summary(report: StressReport) -> str:
    """What was asked, as a sentence above the table."""
    return (
        f"{report.frames} pictures of {report.of_examples} ({report.indoor_frames} indoor), seed {report.seed}, "
        f"clean AUROC {report.clean_auroc:.4f}. Cells: AUROC (mean shift of p_indoor: streets, rooms), verdicts "
        "lost."
    )


def markdown(report: StressReport) -> str:
    """`summary` and `rows` as Markdown."""
    head, *body = rows(report)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join([summary(report), "", *(f"| {' | '.join(line)} |" for line in lines)])
