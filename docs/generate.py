"""Writes what is generated from the code: the command line's page and the JSON Schemas.

python -m docs.generate            write them
python -m docs.generate --check    fail where they differ from what the code says
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scenecheck.cli import cli
from scenecheck.schemas import CONTRACTS, SCHEMA_FOLDER, json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

HEAD = """# Command line

Written by `make docs` from the commands' own `--help`. The JSON Schemas of every `--json` output lie in
[`scenecheck/json_schemas/`](../scenecheck/json_schemas).
"""


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from commands(command.commands[name], f"{path} {name}")


def cli_page() -> str:
    """The help of every command, as one Markdown page."""
    parts = [HEAD]
    for path, command in commands(cli, "scenecheck"):
        settings = {**cli.context_settings, "terminal_width": 100}  # commands inherit the group's
        context = click.Context(command, info_name=path, **settings)
        parts.append(f"## `{path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    files = {ROOT / "docs" / "cli.md": cli_page()}
    files |= {SCHEMA_FOLDER / f"{name}.json": json_schema(name) for name in CONTRACTS}
    return files


def main(argv: list[str]) -> int:
    stale = [p for p, text in generated().items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    if argv == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: differs from the code; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(generated()[path], encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
