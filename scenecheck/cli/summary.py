"""An evaluation as text: bold and coloured on a terminal, a line a fact when piped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scenecheck.evaluation.comparison import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenecheck.evaluation.results import Baseline, Evaluation, Flip, Interval, Regression, StressReport

MIN_SLICE = 8
"""Frames of a slice below which a share says nothing here; the JSON has all."""

MAX_SLICES = 20
MAX_LINES = 10


def show(
    evaluation: Evaluation,
    *,
    baseline: Baseline | None,
    flips: Sequence[Flip],
    regressions: Sequence[Regression],
    stress: StressReport | None,
) -> None:
    """Print figures, slices, worst errors, what corruptions do, and what the comparison found."""
    lines = [*_figures(evaluation), *_slices(evaluation), *_worst(evaluation)]
    if stress is not None:
        lines += _stress(stress)
    if baseline is not None:
        lines += _flips(baseline, flips)
    lines += [("WORSE", r.sentence) for r in regressions]
    if baseline is not None and not regressions:
        lines.append(("same", "nothing got worse than tolerated"))
    if not sys.stdout.isatty():
        for name, text in lines:
            click.echo(f"{name}\t{text}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    before = ""
    for name, text in lines:
        style = {"WORSE": "bold white on red", "same": "bold green"}.get(name, "")
        table.add_row("" if name == before else Text(name, style=style), Text(text))
        before = name
    Console(highlight=False).print(table)


def _share(k: int, n: int) -> str:
    return f"{k} of {n} ({k / n:.1%})"


def _between(interval: Interval, digits: int = 3) -> str:
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def _figures(e: Evaluation) -> Iterator[tuple[str, str]]:
    rooms, streets, n = e.groups.indoor, e.groups.street, e.n
    yield "model", f"{e.model.name} {e.model.version}, {e.model.precision} on {e.model.provider}"
    yield (
        "judged",
        (
            f"{n.frames} frames of {rooms.n + streets.n} cameras: {n.indoor_frames} frames of {rooms.n} rooms, "
            f"{n.frames - n.indoor_frames} of {streets.n} streets"
        ),
    )
    yield (
        "missed",
        _wrong("rooms called street", rooms.missed, rooms.n, rooms.missed_ci, rooms.missed_at_most),
    )
    yield (
        "flagged",
        _wrong(
            "streets called indoor", streets.flagged, streets.n, streets.flagged_ci, streets.flagged_at_most
        ),
    )
    n_unknown = len(rooms.unknown) + len(streets.unknown)
    yield (
        "unknown",
        (
            f"{_share(n_unknown, rooms.n + streets.n)} cameras; rooms: {listed(rooms.unknown)}; "
            f"streets: {listed(streets.unknown)}"
        ),
    )
    yield "AUROC", f"{e.frames.auroc:.4f} {_between(e.frames.auroc_ci)}"
    for fpr, recall in e.frames.recall_at_fpr.items():
        between = _between(e.frames.recall_at_fpr_ci[fpr])
        yield "recall", f"{recall:.4f} {between} of room frames at {float(fpr):.1%} false alarms"
    yield "ECE", f"{e.calibration.ece:.3f} {_between(e.calibration.ece_ci)}"
    for name, c in e.conditions.items():
        called = "; ".join(
            f"{what}: {t.street} street, {t.indoor} indoor, {t.unknown} unknown"
            for what, t in (("streets", c.street), ("rooms", c.indoor))
        )
        yield "frames", f"{'fit to judge' if name == 'none' else name}: {called}"
    yield "speed", _speed(e)


def _wrong(what: str, names: Sequence[str], n: int, between: Interval, at_most: float) -> str:
    if not names:
        return f"0 of {n} {what}, which proves ≤ {at_most:.1%}"
    return f"{len(names)} of {n} {what} [{between[0]:.1%}, {between[1]:.1%}]: {listed(names)}"


def _speed(e: Evaluation) -> str:
    text = f"{e.speed.pictures_per_s:.0f} pictures/s"
    if e.speed.bare_pictures_per_s is not None:
        text += (
            f"; decode, resize and inference alone {e.speed.bare_pictures_per_s:.0f}/s "
            f"(inference {e.speed.inference_ms:.1f} ms, the rest {e.speed.prepare_ms:.1f} ms)"
        )
    return text + (f"; {e.speed.n_cached} frames from the cache" if e.speed.n_cached else "")


def _slices(e: Evaluation) -> Iterator[tuple[str, str]]:
    large = [(name, s) for name, s in e.slices.items() if s.frames >= MIN_SLICE]
    # Flags first: they are chosen to say something; other columns often only name where a picture is from.
    large.sort(key=lambda item: ("=" in item[0], item[1].right, item[0]))
    for name, s in large[:MAX_SLICES]:
        text = (
            f"{name}: {s.frames} frames of {s.groups} cameras, {s.right:.0%} right, {s.unknown:.0%} unknown"
        )
        yield "slice", f"{text}, {s.wrong:.0%} wrong"
    if len(large) > MAX_SLICES:
        yield "slice", f"and {len(large) - MAX_SLICES} more (--json has all)"
    if e.manifest.unsliced:
        yield "slice", f"not by {', '.join(e.manifest.unsliced)}: too many values"


def _worst(e: Evaluation) -> Iterator[tuple[str, str]]:
    for error in e.worst[:MAX_LINES]:
        yield "worst", f"{error.path} ({error.group}) is {error.label.value}: {error.p_indoor:.1%} indoor"


def _stress(report: StressReport) -> Iterator[tuple[str, str]]:
    from scenecheck.evaluation.stress import rows, summary

    yield "stress", summary(report)
    for name, *cells in rows(report):
        yield "stress", " | ".join([f"{name:<16}", *cells])


def _flips(baseline: Baseline, flips: Sequence[Flip]) -> Iterator[tuple[str, str]]:
    yield "baseline", f"{baseline.model.name} {baseline.model.version}: {baseline.reason}"
    for f in flips[:MAX_LINES]:
        yield (
            "flip",
            (
                f"{f.path} ({f.group}), {f.label.value}: {f.old.value} {f.old_p_indoor:.1%} before, "
                f"{f.new.value} {f.new_p_indoor:.1%} now"
            ),
        )
    if len(flips) > MAX_LINES:
        yield "flip", f"and {len(flips) - MAX_LINES} more (--json has all)"
