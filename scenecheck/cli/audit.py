"""`scenecheck audit` and `scenecheck accept`: every feed of a city, and a person's word about one."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenecheck.cli.feeds import read_inventory
from scenecheck.cli.options import model_options
from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scenecheck.audit.engine import Engine
    from scenecheck.audit.messages import ModelChoice, Outcome
    from scenecheck.feeds import Feed
    from scenecheck.records import Result

JOBS_PER_WORKER = 64
"""Feeds in flight for each core: silent ones wait out their deadline beside those that answer."""
DEFAULT_FAIL = frozenset({"indoor", "moved", "unexpected"})
DATABASE = "scenecheck.db"

database = click.option(
    "--db",
    default=DATABASE,
    show_default=True,
    envvar="SCENECHECK_DB",
    show_envvar=True,
    metavar="DB",
    help="SQLite file, or postgresql+psycopg://USER@HOST/DATABASE (password by PGPASSWORD).",
)


@click.command(short_help="Judge every feed of an inventory.")
@click.argument("feeds", type=click.Path(path_type=Path), metavar="FEEDS")
@database
@click.option("--resume", is_flag=True, help="Go on with the latest run that was not finished.")
@click.option(
    "--report", "report_dir", type=click.Path(path_type=Path), metavar="DIR", help="Write the reports there."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 10_000),
    help=f"Feeds looked at at the same time.  [default: {JOBS_PER_WORKER} a CPU]",
)
@click.option(
    "--per-host",
    type=click.IntRange(0, 10_000),
    default=4,
    show_default=True,
    help="Feeds of one host at the same time: recorders allow few viewers. 0: any number.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where to judge: processes of this machine, or a Ray cluster.",
)
@click.option("--ray-address", metavar="ADDRESS", help="The cluster.  [default: one started on this machine]")
@click.option(
    "--fail-on",
    metavar="KIND,...",
    help="Exit 1 for these findings, else 0: indoor, moved, unreachable, recovered, frozen, covered, "
    "unexpected, unknown.  [default: 1 for indoor, moved, unexpected, 3 for feeds without an answer]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@model_options
@click.pass_context
def audit(
    context: click.Context,
    feeds: Path,
    db: str,
    resume: bool,
    report_dir: Path | None,
    jobs: int | None,
    per_host: int,
    engine: str,
    ray_address: str | None,
    fail_on: str | None,
    as_json: bool,
    model_path: Path | None,
    provider: str,
    threads: int | None,
    precision: str,
) -> int:
    """Judge every feed of the inventory FEEDS, keep the results, and say what changed since the last run.

    Each result is stored as it comes. What was interrupted, or killed, goes on with --resume.

    \b
    Examples:
      scenecheck audit feeds.yaml
      scenecheck audit feeds.yaml --db city.db --report report --fail-on indoor,moved
      scenecheck audit feeds.yaml --db city.db --resume
    """
    groups = _groups(fail_on)
    if ray_address is not None and engine != "ray":
        raise UsageError("bad-option", "--ray-address: goes with --engine ray")
    inventory = read_inventory(feeds)
    warn_of_password(context, db)
    if report_dir is not None:
        from scenecheck.reporting import prepare

        prepare(report_dir)
    from scenecheck.audit import Limits
    from scenecheck.audit import audit as run
    from scenecheck.audit.messages import ModelChoice
    from scenecheck.cli.audit_progress import watching
    from scenecheck.schemas import AuditReport
    from scenecheck.store import open_store

    workers = threads or _cpus(engine, ray_address)
    limits = Limits(workers=workers, jobs=jobs or JOBS_PER_WORKER * workers, per_host=per_host)
    choice = ModelChoice(_absolute(model_path), provider, precision)
    again = f"scenecheck audit {feeds} --resume" + _db_option(db)
    with open_store(db) as store, _engine(engine, choice, limits=limits, address=ray_address) as chosen:
        with _stoppable() as is_stopped, watching(again) as progress:
            audited = run(
                inventory,
                store,
                chosen,
                limits=limits,
                progress=progress,
                resume=resume,
                is_stopped=is_stopped,
            )
            if not audited.is_finished:
                progress.stopped()
        if not audited.is_finished or audited.run is None:
            return 130
        results = store.table(audited.run)
        if report_dir is not None:
            from scenecheck.reporting import write_reports

            write_reports(store, audited.run, report_dir)
    report = AuditReport.of(audited.run, results, seconds=audited.seconds)
    if as_json:
        click.echo(report.model_dump_json(by_alias=True))
    else:
        from scenecheck.cli.audit_progress import print_report

        print_report(report)
    return exit_code(results, groups)


def exit_code(results: Sequence[Result], groups: frozenset[str] | None) -> int:
    """1 when there is a finding of ``groups``, else 0. Without groups: what a person must act on counts (1),
    then feeds without an answer (3)."""
    found = {f.kind.group for r in results for f in r.findings}
    if found & (DEFAULT_FAIL if groups is None else groups):
        return 1
    has_unanswered = any(r.label.value == "unknown" for r in results)
    return 3 if groups is None and has_unanswered else 0


@click.command(short_help="Record that a feed's view is right, with who and why.")
@click.argument("feed", metavar="FEED")
@click.option(
    "--feeds",
    "path",
    type=click.Path(path_type=Path),
    default="feeds.yaml",
    show_default=True,
    metavar="FEEDS",
    help="The inventory that names it.",
)
@database
@click.option("--who", help="Who has looked at it.  [default: your login name]")
@click.option("--why", required=True, help="What was done: a repair, a new mast.")
@click.option("--although-indoor", is_flag=True, help="Accept it although the model sees an interior.")
@model_options
@click.pass_context
def accept(
    context: click.Context,
    feed: str,
    path: Path,
    db: str,
    who: str | None,
    why: str,
    although_indoor: bool,
    model_path: Path | None,
    provider: str,
    threads: int | None,
    precision: str,
) -> int:
    """Look at FEED now and record where it looks as right from now on.

    The next audit compares with this view; a finding that the view moved ends. A feed that should show a
    street and shows an interior is not accepted.

    \b
    Example:
      scenecheck accept smg-kuningan-03 --db city.db --who budi --why "back on its mast"
    """
    inventory = read_inventory(path)
    wanted = next((f for f in inventory.feeds if f.id == feed), None)
    if wanted is None:
        raise UsageError("no-such-feed", f"{path}: names no feed {feed!r}", "check the spelling")
    warn_of_password(context, db)
    from scenecheck.audit.judge import judge_feed
    from scenecheck.classifier import Classifier
    from scenecheck.cli.options import tell_fallback
    from scenecheck.store import open_store
    from scenecheck.types import Label

    with open_store(db) as store:
        with Classifier(model_path, provider=provider, threads=threads, precision=precision) as classifier:
            tell_fallback(classifier)
            outcome = judge_feed(wanted, None, classifier)
        refused = _refusal(wanted, outcome, although_indoor=although_indoor)
        if refused is not None:
            text, code = refused
            click.echo(f"scenecheck: {feed}: not accepted: {text}", err=True)
            return code
        assert outcome.view is not None
        kept = store.accept(
            feed, who=_login() if who is None else who, why=why, view=outcome.view, label=Label(wanted.expect)
        )
    click.echo(f"{feed}: accepted by {kept.who}: {kept.why} (seen: {outcome.result.label.value})")
    return 0


def _refusal(feed: Feed, outcome: Outcome, *, although_indoor: bool) -> tuple[str, int] | None:
    """Why a view is not accepted, and the exit code."""
    result = outcome.result
    if outcome.view is None:
        what = result.reason if result.error is None else f"{result.error.message} ({result.error.code})"
        return f"{what}: there is nothing to compare with later", 3
    if feed.expect == "street" and result.label.value == "indoor" and not although_indoor:
        return f"it shows an interior ({result.reason}); --although-indoor says that a person knows better", 1
    return None


def _groups(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    from scenecheck.records import FindingKind

    allowed = list(dict.fromkeys(kind.group for kind in FindingKind))
    named = [part.strip() for part in text.split(",") if part.strip()]
    wrong = next((name for name in named if name not in allowed), None)
    if wrong is not None or not named:
        got = repr(wrong if wrong is not None else text)
        raise UsageError("bad-option", f"--fail-on: got {got}; allowed: {', '.join(allowed)}")
    return frozenset(named)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("bad-option", "--who: this account has no name; say who has looked") from None


def _absolute(path: Path | None) -> Path | None:
    """Workers may start in another folder."""
    return None if path is None else path.absolute()


def _db_option(db: str) -> str:
    """How to name the store again; an address may hold a password and is not repeated."""
    if db == DATABASE:
        return ""
    return " and the same --db" if "://" in db else f" --db {db}"


def warn_of_password(context: click.Context, db: str) -> None:
    """Say that a password in ``--db`` is seen by others."""
    from click.core import ParameterSource

    is_typed = context.get_parameter_source("db") is ParameterSource.COMMANDLINE
    login = db.partition("://")[2].partition("@")
    if is_typed and login[1] and ":" in login[0]:
        click.echo(
            "scenecheck: a password in --db shows in the process list and the shell's history; "
            "use SCENECHECK_DB or PGPASSWORD",
            err=True,
        )


def _cpus(engine: str, ray_address: str | None) -> int:
    if engine == "ray":
        from scenecheck.audit.cluster import cluster_cpus

        return cluster_cpus(ray_address)
    from scenecheck.runtime import available_cpus

    return available_cpus()


@contextlib.contextmanager
def _engine(kind: str, choice: ModelChoice, *, limits: Any, address: str | None) -> Iterator[Engine]:
    """The workers' place; all of them are gone when the block is left."""
    n_threads = -(-limits.jobs // limits.workers)
    engine: Engine
    if kind == "ray":
        from scenecheck.audit.cluster import RayEngine

        engine = RayEngine(choice, n_threads=n_threads, address=address)
    else:
        from scenecheck.audit.engine import LocalEngine

        engine = LocalEngine(choice, n_threads=n_threads)
    with contextlib.closing(engine):
        yield engine


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C and SIGTERM as a wish to stop; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def wish(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
