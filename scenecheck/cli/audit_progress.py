"""What a person sees of an audit: a bar on a terminal, lines where nobody watches, and the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress as Bar
    from rich.progress import Task, TaskID

    from scenecheck.audit.messages import ModelIdentity
    from scenecheck.records import Result
    from scenecheck.schemas import AuditReport

LINE_EVERY_S = 10.0
SHOWN = 20
"""Findings named on the terminal; the report and --json have all of them."""
_LABELS = ("street", "indoor", "unknown", "unreachable")


class Lines:
    """One plain line on stderr every `LINE_EVERY_S` seconds."""

    def __init__(self, again: str) -> None:
        self._again = again
        self._run: int | None = None
        self._total = self._done = 0
        self._began_s = self._next_s = 0.0
        self._counts: Counter[str] = Counter()
        self._n_here = 0
        self._n_named = 0

    def begin(self, run: int, model: ModelIdentity, *, total: int, done: int) -> None:
        self._run, self._total, self._done = run, total, done
        self._began_s = time.monotonic()
        self._next_s = self._began_s + LINE_EVERY_S
        if model.fallback is not None:
            self.say(f"--precision int8: using fp32 instead: {model.fallback}")
        before = f", {done:,} of them judged before" if done else ""
        self.say(f"run {run}: {total:,} feeds{before}; {model.name} {model.version} on {model.provider}")

    def stored(self, results: Sequence[Result], *, in_flight: int) -> None:
        self._done += len(results)
        self._n_here += len(results)
        self._counts.update("unreachable" if r.is_unreachable else r.label.value for r in results)
        for result in results:
            for finding in result.findings:
                if finding.kind.group == "indoor" and self._n_named < SHOWN:
                    self._n_named += 1
                    self.say(f"{result.feed}: {finding.kind.value}: {finding.detail}")
        self._show(in_flight)

    def standstill(self, text: str) -> None:
        self.say(text)

    def say(self, text: str) -> None:
        click.echo(f"scenecheck: {text}", err=True)

    def stopped(self) -> None:
        """Tell how to go on."""
        if self._run is None:
            self.say("stopped before the first feed; nothing was judged")
            return
        self.say(
            f"run {self._run}: stopped with {self._done:,} of {self._total:,} feeds judged and stored; "
            f"go on with: {self._again}"
        )

    def _show(self, in_flight: int) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LINE_EVERY_S
        rate = self._n_here / (now_s - self._began_s)
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate else ""
        self.say(
            f"{self._done:,} of {self._total:,} judged, {rate:.1f}/s{left}, {in_flight} in flight: {self._tally()}"
        )

    def _tally(self) -> str:
        return ", ".join(f"{self._counts[label]:,} {label}" for label in _LABELS)


class Watched(Lines):
    """A bar with rate, time left and running counts."""

    def __init__(self, again: str, bar: Bar) -> None:
        super().__init__(again)
        self._bar = bar
        self._task: TaskID = bar.add_task("loading the model", total=None, tally="")

    def begin(self, run: int, model: ModelIdentity, *, total: int, done: int) -> None:
        super().begin(run, model, total=total, done=done)
        self._bar.reset(self._task, total=total, completed=done, description=f"run {run}")

    def say(self, text: str) -> None:
        from rich.text import Text

        self._bar.console.print(Text(text))

    def _show(self, in_flight: int) -> None:
        tally = f"{self._tally()}; {in_flight} in flight"
        self._bar.update(self._task, completed=self._done, tally=tally)


@contextlib.contextmanager
def watching(again: str) -> Iterator[Lines]:
    """Show an audit on stderr; ``again`` is how to go on when it is stopped."""
    if not sys.stderr.isatty():
        yield Lines(again)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.1f}/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[tally]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Watched(again, bar)


def print_report(report: AuditReport) -> None:
    """Counts and findings; tab-separated, all of them, where nobody is watching."""
    verdicts = report.verdicts
    counts = ", ".join(f"{getattr(verdicts, label):,} {label}" for label in _LABELS)
    if not sys.stdout.isatty():
        click.echo(f"run {report.run}\t{report.feeds} feeds\t{counts}\t{report.seconds:.1f} s")
        for found in report.findings:
            click.echo(
                "\t".join(
                    (found.kind.value, found.feed, found.since.isoformat(timespec="seconds"), found.detail)
                )
            )
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(
        Text(f"run {report.run}: {report.feeds:,} feeds in {report.seconds:.0f} s: {counts}", style="bold")
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("finding", "feed", "since (UTC)", "what"):
        table.add_column(title, overflow="fold")
    for found in report.findings[:SHOWN]:
        cells = (found.kind.value, found.feed, f"{found.since:%Y-%m-%d %H:%M}", found.detail)
        table.add_row(*map(Text, cells))
    if report.findings:
        console.print(table)
    if len(report.findings) > SHOWN:
        console.print(
            Text(f"and {len(report.findings) - SHOWN:,} more: --report DIR or --json has all of them")
        )
