"""`scenecheck eval`: how good a model is on labelled cameras, and whether it got worse."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from scenecheck.cli.options import model_options, tell_fallback
from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenecheck.adapter import Model
    from scenecheck.evaluation.policy import Policy
    from scenecheck.evaluation.results import Baseline, Evaluation, Regression, StressReport


class Findings(TypedDict):
    """What there is to say of an evaluation besides its figures."""

    baseline: Baseline | None
    regressions: list[Regression]
    stress: StressReport | None


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("eval", short_help="Judge a model on labelled pictures; fail where it got worse.")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--baseline", "baseline_path", type=_FILE, help="Compare with this evaluation (JSON).")
@click.option("--update-baseline", "reason", metavar="REASON", help="Write --baseline anew, and why.")
@click.option(
    "--policy", "policy_path", type=_FILE, help="How much worse is too much (TOML).  [default: docs/eval.md]"
)
@click.option(
    "--stress", "with_stress", is_flag=True, help="Also judge the pictures corrupted in every way (minutes)."
)
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Folder of scores to use and extend."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--junit", type=_FILE, help="Write the rules as JUnit XML.")
@click.option("--html", type=_FILE, help="Write a page with figures, charts and pixelated worst errors.")
@model_options
def evaluate(
    manifest: Path,
    baseline_path: Path | None,
    reason: str | None,
    policy_path: Path | None,
    with_stress: bool,
    cache: Path | None,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    model_path: Path | None,
    provider: str,
    threads: int | None,
    precision: str,
) -> int:
    """Judge the pictures and clips of MANIFEST, a CSV file with the columns path,label,group.

    label is street or indoor, group the camera; further columns are slices, flags is split on spaces.
    Paths are relative to the manifest. With --baseline the exit code is 1 when something got worse.

    \b
    Examples:
      scenecheck eval cameras.csv --html report.html
      scenecheck eval cameras.csv --baseline models/baseline.json --junit eval.xml
      scenecheck eval cameras.csv --baseline models/baseline.json --update-baseline "new lens, v0.2"
    """
    for path in (junit, html, baseline_path):
        _check_folder(path)
    baseline, policy = _compared_with(baseline_path, policy_path, is_new=reason is not None)
    from scenecheck.adapter import open_model
    from scenecheck.evaluation.baseline import write_baseline
    from scenecheck.evaluation.comparison import compare
    from scenecheck.runtime import available_cpus

    # An inference a core, each on one thread: none waits for another. Other devices share one session.
    n_threads, workers = (1 if provider == "cpu" else threads), threads or available_cpus()
    with open_model(model_path, provider=provider, threads=n_threads, precision=precision) as model:
        tell_fallback(model)
        evaluation = _evaluated(manifest, model, workers=workers, cache=cache)
        if reason is not None and baseline_path is not None:
            write_baseline(evaluation, baseline_path, reason=reason)
            click.echo(f"scenecheck: {baseline_path}: written", err=True)
        regressions = [*evaluation.golden] if baseline is None else compare(evaluation, baseline, policy)
        found: Findings = {
            "baseline": baseline,
            "regressions": regressions,
            "stress": _stressed(evaluation, model, workers=workers) if with_stress else None,
        }
        _print(evaluation, found, as_json=as_json)
        _write(evaluation, found, model, junit=junit, html=html)
    return 1 if regressions else 0


def _print(evaluation: Evaluation, found: Findings, *, as_json: bool) -> None:
    from scenecheck.cli import summary
    from scenecheck.evaluation.baseline import flips

    baseline = found["baseline"]
    flipped = [] if baseline is None else flips(evaluation, baseline)
    if as_json:
        from scenecheck.schemas import EvalReport

        click.echo(EvalReport.of(evaluation, flips=flipped, **found).model_dump_json(by_alias=True))
    else:
        summary.show(evaluation, flips=flipped, **found)


def _write(
    evaluation: Evaluation, found: Findings, model: Model, *, junit: Path | None, html: Path | None
) -> None:
    if junit is not None:
        from scenecheck.evaluation.junit import write_junit

        write_junit(evaluation, found["regressions"], junit)
    if html is not None:
        from scenecheck.evaluation.report import write_html

        write_html(evaluation, html, model=model, **found)


def _check_folder(path: Path | None) -> None:
    if path is not None and not path.parent.is_dir():
        raise UsageError("bad-option", f"{path}: the folder {path.parent} does not exist")


def _compared_with(
    path: Path | None, policy_path: Path | None, *, is_new: bool
) -> tuple[Baseline | None, Policy]:
    """Baseline and policy of the options, read before anything long begins."""
    from scenecheck.evaluation.baseline import read_baseline
    from scenecheck.evaluation.policy import Policy, read_policy

    if is_new and path is None:
        raise UsageError("bad-option", "--update-baseline: say which file with --baseline FILE")
    if policy_path is not None and (path is None or is_new):
        raise UsageError("bad-option", "--policy: there is nothing to compare with; give --baseline FILE")
    policy = Policy() if policy_path is None else read_policy(policy_path)
    return (None if path is None or is_new else read_baseline(path)), policy


def _evaluated(manifest: Path, model: Model, *, workers: int, cache: Path | None) -> Evaluation:
    """Evaluate with a bar on a terminal; every mistake in the manifest gets its line before the error leaves."""
    from scenecheck.evaluation.evaluate import evaluate as run
    from scenecheck.evaluation.manifest import ManifestError

    try:
        with _progress("judging") as progress:
            return run(manifest, model, workers=workers, cache=cache, progress=progress)
    except ManifestError as e:
        for line in e.lines if len(e.lines) > 1 else []:
            click.echo(f"scenecheck: {line}", err=True)
        raise


def _stressed(evaluation: Evaluation, model: Model, *, workers: int) -> StressReport:
    from scenecheck.evaluation.stress import stress

    with _progress("corrupting") as progress:
        return stress(evaluation.manifest, model, workers=workers, progress=progress)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr when somebody is watching: call it with how many of how many are done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
