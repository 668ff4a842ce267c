"""`scenecheck eval` in this process: a spoiled pipeline is then the one that it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scenecheck.cli import main


@dataclass(frozen=True)
class Answer:
    """How a run of the command ended: exit code, JSON (empty where none came), what stood on stderr."""

    code: int
    report: dict[str, Any]
    error: str

    @property
    def broken(self) -> dict[str, dict[str, Any]]:
        """Regressions by the rule's name."""
        return {r["what"]: r for r in self.report["regressions"]}


@dataclass(frozen=True)
class EvalCommand:
    """Call it with the arguments of `scenecheck eval`."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path) -> Answer:
        argv = ["scenecheck", "eval", *map(str, arguments), "--json", "--threads", "1"]
        self.monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        return Answer(int(ended.value.code or 0), json.loads(said.out) if said.out else {}, said.err)
