"""What the operator's page tells people to paste is right."""

from __future__ import annotations

import configparser
import re
import shlex
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from scenecheck.cli import cli
from scenecheck.cli.audit import audit
from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "audit.md"


def parse(words: list[str]) -> dict[str, Any]:
    """The options a command line would run with. Raises what click raises for a wrong one."""
    assert words[0].rpartition("/")[2] == "scenecheck"
    command: click.Command = cli
    rest = words[1:]
    context: click.Context | None = None
    while isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.make_context(command.name, rest)
    return context.params


def test_every_command_on_the_page_can_be_typed() -> None:
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert len(commands) >= 4
    for command in commands:
        parse(shlex.split(command))


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["scenecheck", "audit", "feeds.yaml", "--no-such-option"])


def test_the_cron_table_has_five_times_a_user_and_a_command() -> None:
    (table,) = blocks(PAGE, "cron")
    variable, line = table.splitlines()
    assert re.fullmatch(r"[A-Z_]+=\S+", variable)
    assert variable.partition("=")[0] == next(p.envvar for p in audit.params if p.name == "db")
    *times, user, command = line.split(maxsplit=6)
    assert all(re.fullmatch(r"\*|\d+(,\d+)*", t) for t in times)
    assert len(times) == 5
    assert user == "scenecheck"
    assert parse(shlex.split(command))["fail_on"] == "indoor,moved"
    assert "%" not in command  # cron takes it for a line's end


def test_the_systemd_units_are_whole_and_fit_each_other() -> None:
    units = {}
    for text in blocks(PAGE, "ini"):
        name = re.match(r"# /etc/systemd/system/(\S+)\n", text)
        assert name is not None
        unit = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",))
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        # A key may stand twice in a unit, but none of ours does except Environment.
        unit.read_string(text)
        units[name[1]] = unit
    service, timer = units["scenecheck-audit.service"], units["scenecheck-audit.timer"]
    assert set(service.sections()) == {"Unit", "Service"}
    assert set(timer.sections()) == {"Unit", "Timer", "Install"}
    assert service["Service"]["Type"] == "oneshot"
    options = parse(shlex.split(service["Service"]["ExecStart"]))
    assert service["Service"]["ExecStart"].startswith("/")
    state = f"/var/lib/{service['Service']['StateDirectory']}/"
    assert str(options["report_dir"]).startswith(state)
    variable, _, database = service["Service"]["Environment"].partition("=")
    assert (variable, database.startswith(state)) == ("SCENECHECK_DB", True)
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", timer["Timer"]["OnCalendar"])


def test_the_kubernetes_job_is_well_formed_and_types_no_secret() -> None:
    (text,) = blocks(PAGE, "yaml")
    job = YAML(typ="safe").load(text)
    assert (job["apiVersion"], job["kind"], set(job)) == (
        "batch/v1",
        "CronJob",
        {"apiVersion", "kind", "metadata", "spec"},
    )
    spec = job["spec"]
    assert len(spec["schedule"].split()) == 5
    assert spec["concurrencyPolicy"] == "Forbid"  # two auditors must not meet
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in {"Never", "OnFailure"}
    (container,) = pod["containers"]
    options = parse(container["command"])
    mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert set(mounted) == {v["name"] for v in pod["volumes"]}
    assert str(options["feeds"]).startswith(mounted["inventory"])
    assert str(options["report_dir"]) == mounted["report"]
    environment = {e["name"]: e for e in container["env"]}
    assert "secretKeyRef" in environment["PGPASSWORD"]["valueFrom"]
    assert ":" not in environment["SCENECHECK_DB"]["value"].partition("://")[2].partition("@")[0]
