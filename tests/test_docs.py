"""What the pages say is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import generated
from scenecheck.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_generated_pages_and_schemas_are_up_to_date() -> None:
    stale = [str(path) for path, text in generated().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


def test_readme_python_examples_run() -> None:
    examples = blocks(ROOT / "README.md", "python")
    assert examples
    for example in examples:
        done = subprocess.run(
            [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("street ")


def test_readme_commands_on_samples_run() -> None:
    commands = [
        line.removeprefix(".venv/bin/")
        for block in blocks(ROOT / "README.md", "sh")
        for line in block.splitlines()
        if line.startswith(".venv/bin/scenecheck") and "192.0.2" not in line
    ]
    assert len(commands) >= 2
    for command in commands:
        words = command.split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "scenecheck", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
    (ROOT / "why.png").unlink(missing_ok=True)


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in cli.commands:
        assert f"## `scenecheck {name}`" in page
