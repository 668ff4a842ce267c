"""What people and machines read: rich on a terminal, one plain line when piped, JSON when asked."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from scenecheck.classifier import Classifier
    from scenecheck.pipeline import Judgement
    from scenecheck.types import Thresholds

_STYLES = {Label.STREET: "bold green", Label.INDOOR: "bold white on red", Label.UNKNOWN: "bold yellow"}
_BAR_CELLS = 40


@contextlib.contextmanager
def waiting(name: str, *, quiet: bool) -> Iterator[None]:
    """Show on stderr that something is going on, when somebody is watching."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(f"looking at {escape(name)}"):
        yield


def print_json(judgement: Judgement, classifier: Classifier) -> None:
    """One line of JSON by the contract ``scenecheck/check/1``."""
    from scenecheck.schemas import CheckReport

    click.echo(CheckReport.of(judgement, classifier).model_dump_json(by_alias=True))


def print_judgement(judgement: Judgement, thresholds: Thresholds) -> None:
    """The answer for a person, or a tab-separated line where nobody is watching."""
    if not sys.stdout.isatty():
        verdict, error = judgement.verdict, judgement.error
        p = "-" if verdict.p_indoor is None else f"{verdict.p_indoor:.4f}"
        fields = [verdict.label.value, p, judgement.source, verdict.reason]
        if error is not None:
            fields.append(f"{error.code}: {error} (try: {error.try_})")
        click.echo("\t".join(fields))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    label = judgement.verdict.label
    head = Text.assemble((f" {label.value.upper()} ", _STYLES[label]), "  ", (judgement.source, "bold"))
    console.print(head)
    console.print(_table(judgement, thresholds))
    console.print()


def _table(judgement: Judgement, thresholds: Thresholds) -> Table:
    from rich.table import Table
    from rich.text import Text

    verdict, error = judgement.verdict, judgement.error
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    if verdict.p_indoor is not None:
        table.add_row(
            "indoor", Text.assemble(f"{verdict.p_indoor:6.1%}  ", _bar(verdict.p_indoor, thresholds))
        )
    table.add_row("why", Text(verdict.reason))
    for at, sighting in enumerate(verdict.sightings[:6]):
        against = ", ".join(sorted(c.value for c in sighting.conditions))
        text = f"{sighting.p_indoor:6.1%}  at {sighting.at_s:.1f} s" + (
            f"  not counted: {against}" if against else ""
        )
        table.add_row("frames" if at == 0 else "", text)
    if len(verdict.sightings) > 6:
        table.add_row("", f"and {len(verdict.sightings) - 6} more")
    if error is not None:
        table.add_row(
            "error", Text(f"{error.code}: {error}", style="red" if verdict.label is Label.UNKNOWN else "dim")
        )
    table.add_row("took", _times(judgement))
    table.add_row("next", Text(_next_step(judgement), style="bold"))
    return table


def _bar(p_indoor: float, thresholds: Thresholds) -> str:
    """A scale from street to indoor with both thresholds (┆) and the value (●) on it."""
    cells = ["─"] * _BAR_CELLS
    last = _BAR_CELLS - 1
    for threshold in (thresholds.street_below, thresholds.indoor_above):
        cells[round(threshold * last)] = "┆"
    cells[round(p_indoor * last)] = "●"
    return "street " + "".join(cells) + " indoor"


def _times(judgement: Judgement) -> str:
    parts = [f"{judgement.total_s:.2f} s"]
    if judgement.open_s is not None:
        parts.append(f"open after {judgement.open_s:.2f}")
    if judgement.first_frame_s is not None:
        parts.append(f"first frame {judgement.first_frame_s:.2f}")
    return ", ".join(parts)


def _next_step(judgement: Judgement) -> str:
    label, error = judgement.verdict.label, judgement.error
    if label is Label.STREET:
        return "nothing to do: it looks at a street"
    if label is Label.INDOOR:
        return "take it off the air now, then find out where this camera hangs"
    if error is not None:
        return error.try_
    if judgement.verdict.p_indoor is None:
        return "look at the picture yourself; clean, uncover or light the lens, then check again"
    return "look at the picture yourself before it is published; --explain shows what the model looked at"
