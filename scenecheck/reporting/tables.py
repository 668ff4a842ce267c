"""A run as CSV, JSON lines and JUnit: one line or case for every feed."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from scenecheck.reporting.overview import by_urgency, plain, state
from scenecheck.reporting.sentences import reason, sentence
from scenecheck.schemas import FeedResult

if TYPE_CHECKING:
    from scenecheck.records import Finding, Result
    from scenecheck.reporting.overview import Overview

COLUMNS = (
    "feed",
    "name",
    "address",
    "tags",
    "expect",
    "verdict",
    "p_indoor",
    "frames",
    "findings",
    "since",
    "what",
    "error",
    "try",
    "judged_at",
    "seconds",
)

FAILING = frozenset({"indoor", "moved", "unexpected"})
"""Groups of findings that fail a test: the camera does not show what it should."""

_FORMULA = tuple("=+-@\t\r＝＋－＠")


def csv_table(found: Overview) -> str:
    """RFC 4180 in UTF-8, a row for each feed. Texts that a spreadsheet would run stand behind an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for result in found.results:
        writer.writerow(_row(result))
    return file.getvalue()


def _row(result: Result) -> list[str | int]:
    findings, error = by_urgency(result), result.error
    return [
        _cell(result.feed),
        _cell(result.name),
        _cell(result.address),
        _cell(" ".join(result.tags)),
        result.expect.value,
        state(result),
        "" if result.p_indoor is None else f"{result.p_indoor:.4f}",
        result.n_frames,
        " ".join(f.kind.value for f in findings),
        findings[0].since.isoformat(timespec="seconds") if findings else "",
        _cell(" ".join(sentence(result, f, "en") for f in findings) or reason(result, "en")),
        "" if error is None else error.code,
        "" if error is None else _cell(error.try_),
        result.finished_at.isoformat(timespec="seconds"),
        f"{result.total_s:.2f}",
    ]


def _cell(text: str) -> str:
    return "'" + plain(text) if text.startswith(_FORMULA) else plain(text)


def json_lines(found: Overview) -> str:
    """One object of ``scenecheck/feed/1`` a line; ASCII, so that no name can break a line."""
    return "".join(
        json.dumps(FeedResult.of(r).model_dump(mode="json", by_alias=True)) + "\n" for r in found.results
    )


def junit(found: Overview) -> str:
    """JUnit XML: a case for each feed. A finding of `FAILING` fails it; without a picture it is an error; what
    else keeps a feed from being proven skips it, so that a CI shows it and stays green."""
    suite = TestSuite("scenecheck audit")
    suite.timestamp = found.run.started_at.isoformat(timespec="seconds")
    model = found.run.spec
    for name, value in {
        "run": str(found.run.id),
        "model": f"{model.model_name} {model.model_version}",
        "sha256": model.model_sha256,
        "inventory_sha256": model.inventory_sha256,
    }.items():
        suite.add_property(name, plain(value))
    suite.add_testcases([_case(r) for r in sorted(found.results, key=lambda r: r.feed)])
    xml = JUnitXml("scenecheck audit")
    xml.add_testsuite(suite)
    xml.update_statistics()
    text: str = xml.tostring().decode("utf-8")
    return text + "\n"


def _case(result: Result) -> TestCase:
    case = TestCase(plain(result.feed), f"scenecheck.audit.{result.expect.value}", result.total_s)
    outcome = _outcome(result, by_urgency(result))
    if outcome is not None:
        case.result = [outcome]
    if result.name:
        case.system_out = plain(result.name)
    return case


def _outcome(result: Result, findings: tuple[Finding, ...]) -> Failure | Error | Skipped | None:
    said = plain(" ".join(sentence(result, f, "en") for f in findings) or reason(result, "en"))
    failing = [f for f in findings if f.kind.group in FAILING]
    if failing:
        return Failure(said, failing[0].kind.value)
    if result.error is not None and result.is_unreachable:
        return Error(f"{said} {plain(result.error.try_)}", result.error.code)
    if result.label is not result.expect or any(f.kind.group != "recovered" for f in findings):
        return Skipped(said)
    return None
