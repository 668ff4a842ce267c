"""`scenecheck feeds`: make, check and show an inventory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenecheck.feeds import Feed, Inventory
    from scenecheck.feeds.write import Entry
    from scenecheck.importers import Import

_NAMED = 1000
"""Lines about what was skipped, before only their number is told."""


@click.group(short_help="Inventories: import, validate, list.")
def feeds() -> None:
    """Make, check and show inventories: the file that names every feed, its address and its purpose."""


@feeds.command("import", short_help="An inventory from MediaMTX, Frigate or go2rtc.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--from",
    "kind",
    type=click.Choice(["mediamtx", "frigate", "go2rtc", "inventory"]),
    help="What FILE is.  [default: found out]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write there (CSV if it ends in .csv).  [default: YAML on stdout]",
)
@click.option(
    "--secrets-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write passwords into files there, readable by you alone.  [default: name variables to set]",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
def import_(file: Path, kind: str | None, output: Path | None, secrets_dir: Path | None, force: bool) -> int:
    """Write an inventory from the configuration of MediaMTX, Frigate or go2rtc, or from another inventory.

    Passwords are taken out of the addresses. What cannot be imported is named with its line.

    \b
    Examples:
      scenecheck feeds import mediamtx.yml -o feeds.yaml
      scenecheck feeds import frigate.yml -o feeds.yaml --secrets-dir secrets
      scenecheck feeds import table.csv -o feeds.yaml
    """
    from scenecheck.atomic import write_whole
    from scenecheck.errors import UsageError
    from scenecheck.feeds.write import to_csv, to_yaml
    from scenecheck.importers import KINDS, in_files, in_variables, read

    if output is not None and output.exists() and not force:
        raise UsageError("bad-option", f"{output}: is there already", "--force replaces it")
    folder = None if output is None else output.absolute().parent
    with _mistakes_shown(file):
        made = read(file, next((k for k in KINDS if k == kind), None), folder=folder)
    _tell(file, made)
    if not made.found:
        raise UsageError("bad-option", f"{file}: nothing could be imported", "see the reasons above")
    if secrets_dir is None:
        entries, variables = in_variables(made.found)
    else:
        entries, variables = in_files(made.found, secrets_dir, beside=folder, force=force)
    if output is None:
        click.echo(to_yaml(entries), nl=False)
    else:
        text = to_csv(entries) if output.suffix.lower() == ".csv" else to_yaml(entries)
        write_whole(output, text, force=force)
    _tell_result(made, entries, variables)
    return 0


@feeds.command(short_help="Find every mistake in an inventory.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def validate(file: Path) -> int:
    """Check an inventory: exit 0, or 2 and every mistake with its line.

    Passwords that are not set here and files that are missing here are warnings.

    \b
    Example:
      scenecheck feeds validate feeds.yaml
    """
    from scenecheck.feeds import problem_lines, unresolved

    inventory = read_inventory(file)
    missing = list(unresolved(inventory))
    for line in problem_lines(file, missing):
        click.echo(f"scenecheck: warning: {line}", err=True)
    n_warnings = len(inventory.warnings) + len(missing)
    click.echo(f"{file}: {_count(len(inventory.feeds), 'feed')}, {_count(n_warnings, 'warning')}")
    return 0


@feeds.command("list", short_help="Show the feeds of an inventory, without secrets.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a feed on stdout.")
def list_(file: Path, as_json: bool) -> int:
    """Show the feeds of an inventory; passwords and users never.

    \b
    Example:
      scenecheck feeds list feeds.yaml --json
    """
    inventory = read_inventory(file)
    if as_json:
        from scenecheck.schemas import FeedReport

        for feed in inventory.feeds:
            click.echo(FeedReport.of(feed).model_dump_json(by_alias=True))
    elif sys.stdout.isatty():
        _print_table(inventory)
    else:
        for feed in inventory.feeds:
            click.echo(
                "\t".join([feed.id, feed.expect, str(feed.source), " ".join(feed.tags), _places(feed)])
            )
    return 0


def read_inventory(path: Path) -> Inventory:
    """Load an inventory; its warnings, or all its mistakes, go to stderr. Raises UsageError."""
    from scenecheck.feeds import load, problem_lines

    with _mistakes_shown(path):
        inventory = load(path)
    for line in problem_lines(path, inventory.warnings):
        click.echo(f"scenecheck: warning: {line}", err=True)
    return inventory


class _mistakes_shown:  # noqa: N801  (reads as a statement)
    """Print every mistake of an InventoryError, then raise one that counts them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from scenecheck.feeds import InventoryError, problem_lines

        if not isinstance(error, InventoryError):
            return
        for line in problem_lines(self.path, error.problems):
            click.echo(line, err=True)
        count = _count(len(error.problems), "mistake")
        raise InventoryError("inventory", f"{self.path}: {count}", None, error.problems) from None


def _tell(path: Path, made: Import) -> None:
    """Say what was left out and what to look at, with lines."""
    for remark in made.skipped[:_NAMED]:
        click.echo(f"{path}:{remark.line}: skipped: {remark}", err=True)
    for remark in made.notes[:_NAMED]:
        click.echo(f"{path}:{remark.line}: note: {remark}", err=True)
    left_out = max(0, len(made.skipped) - _NAMED) + max(0, len(made.notes) - _NAMED)
    if left_out:
        click.echo(f"{path}: {left_out:,} more lines like these", err=True)


def _tell_result(made: Import, entries: Sequence[Entry], variables: Mapping[str, Sequence[str]]) -> None:
    name = {"mediamtx": "MediaMTX", "frigate": "Frigate", "go2rtc": "go2rtc", "inventory": "the inventory"}
    click.echo(
        f"scenecheck: {_count(len(entries), 'feed')} from {name[made.kind]}, {len(made.skipped):,} skipped",
        err=True,
    )
    if variables:
        click.echo("scenecheck: the passwords are not in the inventory; set these variables:", err=True)
    for variable, ids in list(variables.items())[:_NAMED]:
        more = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
        click.echo(f"  {variable}  (feed {ids[0]}{more})", err=True)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _places(feed: Feed) -> str:
    publish = feed.publish
    if publish is None:
        return ""
    places = [("hls", publish.hls), ("rtsp", publish.rtsp), ("snapshot", publish.snapshot)]
    return " ".join(f"{name}={place}" for name, place in places if place is not None)


def _print_table(inventory: Inventory) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("feed", "name", "expect", "source", "tags", "published at"):
        table.add_column(title, overflow="fold", style="bold" if title == "feed" else "")
    for feed in inventory.feeds:
        cells = (feed.id, feed.name, feed.expect, str(feed.source), " ".join(feed.tags), _places(feed))
        table.add_row(*map(Text, cells))
    Console(highlight=False).print(table)
