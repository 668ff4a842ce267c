"""An evaluation as test results: JUnit XML, which every CI shows without being taught."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from scenecheck.atomic import write_whole
from scenecheck.charts import xml_text
from scenecheck.evaluation.comparison import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenecheck.evaluation.results import Evaluation, JudgedGroup, Regression


def write_junit(evaluation: Evaluation, regressions: Sequence[Regression], path: Path) -> None:
    """Write JUnit XML, whole or not at all: a case for each rule and one for each group.

    A rule that is broken fails, and so does each group that it names. Groups that are not called what they are
    without breaking a rule are skipped with what they are called: CI then shows them and stays green. Raises
    UsageError when ``path`` cannot be written.
    """
    write_whole(path, junit(evaluation, regressions))


def junit(evaluation: Evaluation, regressions: Sequence[Regression]) -> str:
    """The JUnit XML as text."""
    broken = {r.what: r for r in regressions}
    rules = TestSuite("scenecheck eval: rules")
    rules.add_testcases([
        _case("rules", what, Failure(xml_text(broken[what].sentence)) if what in broken else None)
        for what in dict.fromkeys([*(rule.what for rule in RULES), *broken])
    ])  # fmt: skip
    groups = TestSuite("scenecheck eval: groups")
    groups.add_testcases([
        _case(f"groups.{group.label.value}", group.name, _of_group(group, regressions))
        for group in evaluation.judged_groups
    ])  # fmt: skip
    for name, value in _properties(evaluation).items():
        rules.add_property(name, xml_text(value))
    xml = JUnitXml("scenecheck eval")
    for suite in (rules, groups):
        xml.add_testsuite(suite)
    xml.update_statistics()
    text: str = xml.tostring().decode("utf-8")
    return text + "\n"


def _case(classname: str, name: str, result: Failure | Skipped | None) -> TestCase:
    case = TestCase(xml_text(name), f"scenecheck.{classname}")
    if result is not None:
        case.result = [result]
    return case


def _of_group(group: JudgedGroup, regressions: Sequence[Regression]) -> Failure | Skipped | None:
    sentences = [r.sentence for r in regressions if group.name in r.names]
    said = f"{group.label.value}, called {group.verdict.label.value}: {group.verdict.reason}"
    if sentences and group.verdict.label is not group.label:
        return Failure(xml_text(" ".join([said, *sentences])))
    return Skipped(xml_text(said)) if group.verdict.label is not group.label else None


def _properties(evaluation: Evaluation) -> dict[str, str]:
    model, n = evaluation.model, evaluation.n
    return {
        "model": f"{model.name} {model.version}",
        "sha256": model.sha256,
        "provider": f"{model.provider} {model.precision}",
        "manifest": str(evaluation.path),
        "frames": str(n.frames),
        "groups": str(n.groups),
        "auroc": str(evaluation.frames.auroc),
        "ece": str(evaluation.calibration.ece),
    }
