"""`scenecheck report`: the reports of a stored run, once more."""

from __future__ import annotations

from pathlib import Path

import click

from scenecheck.cli.audit import database, warn_of_password


@click.command(short_help="Write the reports of a stored run.")
@click.argument("run", type=click.IntRange(min=1), required=False, metavar="[RUN]")
@database
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    default="report",
    show_default=True,
    metavar="DIR",
    help="Where to write them; an earlier report there is replaced, other files stay.",
)
@click.pass_context
def report(context: click.Context, run: int | None, db: str, directory: Path) -> int:
    """Write the reports of RUN, by default the latest: pages in English and Indonesian, CSV, JSON lines, JUnit.

    No camera is opened. The pages are one file each and work offline.

    \b
    Example:
      scenecheck report 12 --db city.db -o report
    """
    warn_of_password(context, db)
    from scenecheck.reporting import write_reports
    from scenecheck.store import open_store

    with open_store(db) as store:
        for path in write_reports(store, store.run(run).id, directory):
            click.echo(str(path))
    return 0
