"""An evaluation as a page for people, beside its baseline where there is one.

The page is one file: nothing is fetched and nothing runs. What it shows of a view are mosaics and heat from
`scenecheck.mask`, whatever the view's label: a wrong answer is exactly where a label is not to be trusted.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import jinja2
import numpy as np

from scenecheck import __version__, charts
from scenecheck.atomic import write_whole
from scenecheck.classifier import heat_map
from scenecheck.errors import ContentError, SourceError, UsageError
from scenecheck.evaluation import metrics
from scenecheck.evaluation.baseline import flips as flips_between
from scenecheck.evaluation.figures import ROC_UP_TO
from scenecheck.evaluation.scoring import CLIP_DEADLINE_S, CLIP_FRAMES
from scenecheck.mask import heat_layer, pixelate
from scenecheck.preprocess import TILE_SIZE, tiles
from scenecheck.source import SourceOptions, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scenecheck.adapter import Model
    from scenecheck.evaluation.results import (
        Baseline,
        Calibration,
        Evaluation,
        FrameFigures,
        Regression,
        Slice,
        StressReport,
        WorstError,
    )

MAX_PICTURES = 12
"""Worst errors shown: what fits on a screen; the JSON lists more."""

MAX_FLIPS = 200
"""Flips listed on the page; more belong into a spreadsheet, and the JSON has them."""

MAX_BARS = 24
"""Slices drawn: flags first, which say something, then the largest of the columns; the table has all."""


_SAME_S = 1e-3


class _Figure(NamedTuple):
    """A headline figure as text; ``change`` is good, bad or empty."""

    name: str
    value: str
    note: str
    old: str | None
    change: str


class _Chart(NamedTuple):
    svg: str
    is_wide: bool = False


def write_html(
    evaluation: Evaluation,
    path: Path,
    *,
    model: Model | None = None,
    baseline: Baseline | None = None,
    regressions: Sequence[Regression] = (),
    stress: StressReport | None = None,
) -> None:
    """Write the page, whole or not at all.

    ``model`` is asked again where it looked in the worst errors; without it they are mosaics without heat. With
    a ``baseline`` old figures and flips stand beside the new ones. Raises UsageError when ``path`` cannot be
    written.
    """
    write_whole(
        path, html(evaluation, model=model, baseline=baseline, regressions=regressions, stress=stress)
    )


def html(
    evaluation: Evaluation,
    *,
    model: Model | None = None,
    baseline: Baseline | None = None,
    regressions: Sequence[Regression] = (),
    stress: StressReport | None = None,
) -> str:
    """The page as text; the same evaluation gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scenecheck"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["share"] = share
    flips = None if baseline is None else flips_between(evaluation, baseline)
    return environment.get_template("evaluation.html.j2").render(
        version=__version__,
        manifest="/".join(evaluation.path.absolute().parts[-2:]),
        model=evaluation.model,
        old_model=None if baseline is None else baseline.model,
        n=evaluation.n,
        thresholds=evaluation.thresholds,
        regressions=regressions,
        figures=_figures(evaluation, baseline),
        charts=_charts(evaluation, baseline, stress),
        reason=None if baseline is None else baseline.reason,
        groups=evaluation.groups,
        old_groups=None if baseline is None else baseline.groups,
        flips=None if flips is None else flips[:MAX_FLIPS],
        n_flips=len(flips or ()),
        slices=evaluation.slices,
        old_slices={} if baseline is None else baseline.slices,
        conditions=evaluation.conditions,
        worst=[_worst(evaluation, error, model) for error in evaluation.worst[:MAX_PICTURES]],
    )


def share(value: float) -> str:
    """A share of 0..1 in per cent, with the digits that matter near both ends."""
    near_an_end = 0 < value < 0.01 or 0.99 < value < 1
    return f"{value * 100:.{2 if near_an_end else 1}f}\u00a0%"


def _figures(new: Evaluation, old: Baseline | None) -> list[_Figure]:
    notes, was = _notes(new), {} if old is None else _numbers(old)
    found = []
    for name, value in _numbers(new).items():
        text: Callable[[float], str] = "{:.4f}".format if name in {"AUROC", "ECE"} else share
        shown, before = text(value), text(was[name]) if name in was else None
        change = "" if before in {None, shown} else "good" if _is_better(name, value, was[name]) else "bad"
        found.append(_Figure(name, shown, notes[name], before, change))
    bare = new.speed.bare_pictures_per_s
    note = (
        f"bare pipeline: {bare:.0f}"
        if bare and not new.speed.n_cached
        else f"{new.speed.n_cached} from the cache"
    )
    return [*found, _Figure("pictures a second", f"{new.speed.pictures_per_s:.0f}", note, None, "")]


def _numbers(side: Evaluation | Baseline) -> dict[str, float]:
    """The headline figures of either side, by the name that stands above them."""
    rooms, streets = side.groups.indoor, side.groups.street
    return {
        "AUROC": side.frames.auroc,
        **{f"recall at {float(f) * 100:g} % FPR": v for f, v in side.frames.recall_at_fpr.items()},
        "rooms called street": len(rooms.missed) / max(rooms.n, 1),
        "streets called indoor": len(streets.flagged) / max(streets.n, 1),
        "groups unknown": side.groups.unknown_share,
        "ECE": side.calibration.ece,
    }


def _is_better(name: str, new: float, old: float) -> bool:
    return (new > old) is (name == "AUROC" or name.startswith("recall"))


def _notes(new: Evaluation) -> dict[str, str]:
    """What each headline figure rests on, or proves."""
    rooms, streets = new.groups.indoor, new.groups.street
    n_unknown = len(rooms.unknown) + len(streets.unknown)
    return {
        "AUROC": "{:.4f} to {:.4f}".format(*new.frames.auroc_ci),
        **{
            f"recall at {float(f) * 100:g} % FPR": f"{share(low)} to {share(high)}"
            for f, (low, high) in new.frames.recall_at_fpr_ci.items()
        },
        "rooms called street": f"{len(rooms.missed)} of {rooms.n}: proves ≤ {share(rooms.missed_at_most)}",
        "streets called indoor": f"{len(streets.flagged)} of {streets.n}: proves ≤ {share(streets.flagged_at_most)}",
        "groups unknown": f"{n_unknown} of {new.n.groups}",
        "ECE": "{:.4f} to {:.4f}".format(*new.calibration.ece_ci),
    }


def _charts(new: Evaluation, old: Baseline | None, stress: StressReport | None) -> list[_Chart]:
    sides = {"now": (new.frames, new.calibration)} | (
        {"before": (old.frames, old.calibration)} if old else {}
    )
    roc = charts.roc_chart(
        [_roc(name, frames) for name, (frames, _) in sides.items()],
        title="Rooms found while few streets are flagged",
        n_street=new.n.frames - new.n.indoor_frames,
        highest_fpr=ROC_UP_TO,
        marks=[charts.Mark(float(fpr), f"{float(fpr) * 100:g}\u00a0%") for fpr in new.frames.recall_at_fpr],
    )
    calibration = charts.reliability_chart(
        {name: _bins(c) for name, (_, c) in sides.items()}, title="Predicted and true"
    )
    found = [_Chart(roc), _Chart(calibration)]
    if new.slices:
        found.append(_Chart(_slices_chart(new, old), is_wide=True))
    return found + ([] if stress is None else [_Chart(svg, is_wide=True) for svg in _stress_charts(stress)])


def _roc(name: str, frames: FrameFigures) -> charts.Series:
    points = sorted(frames.roc, key=lambda p: p.fpr)
    # The last value holds up to the chart's edge.
    return charts.Series(
        name,
        [*(p.fpr for p in points), ROC_UP_TO],
        [*(p.recall for p in points), points[-1].recall if points else 0.0],
    )


def _bins(calibration: Calibration) -> list[charts.Bin]:
    return [
        charts.Bin(b.p_mean, b.indoor_share, b.n, *metrics.wilson(round(b.indoor_share * b.n), b.n))
        for b in calibration.bins
    ]


def _slices_chart(new: Evaluation, old: Baseline | None) -> str:
    before = {} if old is None else old.slices
    largest = sorted(new.slices.items(), key=lambda item: ("=" in item[0], -item[1].frames))[:MAX_BARS]
    return charts.bar_chart(
        [_bar(name, s, before.get(name)) for name, s in largest],
        title="Frames called right, by slice (behind: how many, of how many groups)",
        x=charts.Axis("right", percent=True),
    )


def _bar(name: str, s: Slice, old: Slice | None) -> charts.Bar:
    low, high = metrics.wilson(round(s.right * s.groups), s.groups)
    low, high = min(low, s.right), max(high, s.right)  # rounding to whole groups may step over the share
    note = f"{s.frames} of {s.groups} group{'s' * (s.groups != 1)}"
    return charts.Bar(name, s.right, low, high, old=None if old is None else old.right, note=note)


def _stress_charts(stress: StressReport) -> list[str]:
    names, columns = list(stress.corruptions), [f"{s:g}" for s in stress.severities]
    cells = list(stress.corruptions.values())
    ranking = charts.heat_table(
        names,
        ["clean", *columns],
        [[stress.clean_auroc, *(c.auroc for c in row)] for row in cells],
        title="AUROC under corruption, by severity",
        good=stress.clean_auroc,
        bad=min(0.75, stress.clean_auroc - 0.01),
    )
    drift = charts.heat_table(
        names,
        columns,
        [[c.shift_indoor for c in row] for row in cells],
        title="Rooms' mean shift of p_indoor",
        good=0.0,
        bad=-0.5,
    )
    worst = sorted(names, key=lambda n: min(c.auroc for c in stress.corruptions[n]))[: charts.N_COLOURS]
    lines = charts.line_chart(
        [
            charts.Series(n, [0.0, *stress.severities], [stress.clean_auroc, *(c.auroc for c in stress.corruptions[n])])
            for n in worst
        ],
        title="The corruptions that hurt most",
        x=charts.Axis("severity"),
        y=charts.Axis("AUROC", 0.5, 1.0),
        dots=True,
    )  # fmt: skip
    return [lines, ranking, drift]


def _worst(evaluation: Evaluation, error: WorstError, model: Model | None) -> dict[str, Any]:
    """One of the worst errors with its mosaic and heat as data URLs, or why there is none."""
    found: dict[str, Any] = error.model_dump() | {"cells": None, "heat": None, "why": ""}
    try:
        tile = _tile(evaluation, error, model)
    except SourceError as e:
        return found | {"why": f"{e.code}: the picture cannot be read any more"}
    found["cells"] = _png(pixelate(tile)[:, :, ::-1])
    if model is not None:
        heat = heat_map(model.score(tile[None]))[0]
        if heat.size:  # another's model has no class-activation map
            found["heat"] = _png(heat_layer(heat))
    return found


def _tile(evaluation: Evaluation, error: WorstError, model: Model | None) -> NDArray[np.uint8]:
    """The tile ``uint8 [3, H, W]`` of a frame, decoded again. Raises SourceError."""
    example = next(j.example for j in evaluation.examples if j.example.path == error.path)
    size = (model.card.input.height, model.card.input.width) if model else TILE_SIZE
    options = SourceOptions(frames=CLIP_FRAMES, deadline_s=CLIP_DEADLINE_S)
    try:
        with open_source(example.file, options) as source:
            for frame in source:
                if abs(frame.at_s - error.at_s) < _SAME_S:
                    return np.asarray(tiles([frame.picture], size)[0])
    except UsageError as e:  # the file has gone since it was judged
        raise ContentError("unreadable", str(e)) from None
    raise ContentError("unreadable", f"{error.path}: no frame at {error.at_s} s")


def _png(picture: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode()
