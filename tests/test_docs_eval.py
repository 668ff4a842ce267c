"""The page on gating a model in CI: its commands exist, its YAML is a pipeline, its tables are the code's."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from scenecheck.cli import cli
from scenecheck.evaluation.comparison import RULES
from scenecheck.evaluation.manifest import REQUIRED
from scenecheck.evaluation.policy import Policy

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "eval.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def pipelines() -> tuple[Any, Any]:
    github, gitlab = (YAML(typ="safe", pure=True).load(text) for text in blocks("yaml"))
    return github, gitlab


def commands() -> list[str]:
    """Every shell line of the page that calls scenecheck, also those inside the pipelines."""
    github, gitlab = pipelines()
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += [step["run"] for step in github["jobs"]["gate"]["steps"] if "run" in step]
    lines += gitlab["gate"]["script"]
    return [line for line in lines if line.startswith("scenecheck ")]


def test_page_names_enough_commands_to_be_worth_checking() -> None:
    assert len(commands()) == 4


@pytest.mark.parametrize("line", commands())
def test_command_of_the_page_is_one_that_the_command_line_takes(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = cli.commands[name]
    context = command.make_context(name, arguments, parent=click.Context(cli))
    assert context.params["manifest"] == Path("cameras.csv")


def test_command_with_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        cli.commands["eval"].make_context("eval", ["cameras.csv", "--basline", "x"])


def test_github_pipeline_has_the_shape_that_github_takes() -> None:
    github, _ = pipelines()
    assert set(github) == {
        "name",
        "on",
        "permissions",
        "jobs",
    }  # `on` is a string in YAML 1.2, as GitHub reads it
    assert set(github["on"]) <= {"pull_request", "push", "workflow_dispatch"}
    job = github["jobs"]["gate"]
    assert set(job) == {"runs-on", "timeout-minutes", "steps"}
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= {"uses", "run", "with", "if", "name", "env"}
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
    upload = next(s for s in job["steps"] if "upload-artifact" in s.get("uses", ""))
    gate = next(s["run"] for s in job["steps"] if s.get("run", "").startswith("scenecheck eval"))
    assert upload["if"] == "always()"  # the report of a failed gate is the one that is wanted
    assert all(name in gate for name in upload["with"]["path"].split())


def test_gitlab_pipeline_has_the_shape_that_gitlab_takes() -> None:
    _, gitlab = pipelines()
    job = gitlab["gate"]
    assert set(job) == {"image", "timeout", "rules", "cache", "script", "artifacts"}
    assert all(isinstance(line, str) for line in job["script"])
    gate = next(line for line in job["script"] if line.startswith("scenecheck eval"))
    artifacts = job["artifacts"]
    assert artifacts["when"] == "always"
    assert f"--junit {artifacts['reports']['junit']}" in gate
    assert f"--html {artifacts['paths'][0]}" in gate
    assert ".scores" in job["cache"]["paths"]
    assert "--cache .scores" in gate


def test_policy_on_the_page_is_every_tolerance_with_its_default() -> None:
    (text,) = blocks("toml")
    assert tomllib.loads(text) == Policy().model_dump()


def test_every_rule_stands_in_the_table() -> None:
    table = PAGE[PAGE.index("| rule |") : PAGE.index("What is tolerated")]
    named = re.findall(
        r"`([^`]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    )
    assert named == [rule.what for rule in RULES]


def test_manifest_on_the_page_has_the_columns_that_are_asked_for() -> None:
    (text,) = blocks("csv")
    assert tuple(text.splitlines()[0].split(",")[:3]) == REQUIRED
