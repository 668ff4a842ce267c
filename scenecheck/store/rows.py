"""Records to rows and back: the one place that knows both."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scenecheck.errors import StoreError
from scenecheck.records import ErrorNote, Finding, FindingKind, Mosaic, Reference, Result, Run, RunSpec
from scenecheck.store.tables import clean
from scenecheck.types import Condition, Label
from scenecheck.view import Comparison, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping


def spec_row(spec: RunSpec) -> dict[str, Any]:
    return {**asdict(spec), "options": dict(spec.options)}


def to_run(row: RowMapping, n_results: int) -> Run:
    spec = RunSpec(
        inventory_sha256=row["inventory_sha256"],
        model_name=row["model_name"],
        model_version=row["model_version"],
        model_sha256=row["model_sha256"],
        preprocess_version=row["preprocess_version"],
        options=row["options"],
    )
    return Run(
        id=row["id"],
        spec=spec,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        owner=row["owner"],
        lease_until=row["lease_until"],
        n_results=n_results,
    )


def result_row(run: int, result: Result) -> dict[str, Any]:
    return {
        "run": run,
        "feed": result.feed,
        "expect": result.expect.value,
        "label": result.label.value,
        "label_alone": result.label_alone.value,
        "p_indoor": result.p_indoor,
        "reason": result.reason,
        "n_frames": result.n_frames,
        "conditions": {condition.value: n for condition, n in result.conditions.items()},
        "error": None if result.error is None else {k: clean(v) for k, v in asdict(result.error).items()},
        "comparison": None if result.comparison is None else asdict(result.comparison),
        "open_s": result.open_s,
        "first_frame_s": result.first_frame_s,
        "total_s": result.total_s,
        "finished_at": result.finished_at,
        "name": result.name,
        "address": result.address,
        "tags": [clean(tag) for tag in result.tags],
        "cells": None if result.mosaic is None else result.mosaic.cells,
        "heat": None if result.mosaic is None else result.mosaic.heat,
    }


def finding_rows(run: int, result: Result) -> list[dict[str, Any]]:
    return [{"run": run, "feed": result.feed, **asdict(f), "kind": f.kind.value} for f in result.findings]


def to_finding(row: RowMapping) -> Finding:
    return Finding(FindingKind(row["kind"]), row["since"], row["detail"])


def to_result(row: RowMapping, findings: Sequence[Finding]) -> Result:
    return Result(
        feed=row["feed"],
        expect=Label(row["expect"]),
        label=Label(row["label"]),
        label_alone=Label(row["label_alone"]),
        reason=row["reason"],
        p_indoor=row["p_indoor"],
        finished_at=row["finished_at"],
        total_s=row["total_s"],
        n_frames=row["n_frames"],
        conditions={Condition(name): n for name, n in row["conditions"].items()},
        error=None if row["error"] is None else ErrorNote(**row["error"]),
        comparison=None if row["comparison"] is None else Comparison(**row["comparison"]),
        open_s=row["open_s"],
        first_frame_s=row["first_frame_s"],
        mosaic=None if row["cells"] is None else Mosaic(row["cells"], row["heat"]),
        name=row["name"],
        address=row["address"],
        tags=tuple(row["tags"]),
        findings=tuple(findings),
        run=row["run"],
    )


def reference_row(reference: Reference) -> dict[str, Any]:
    names = ("feed", "created_at", "created_run", "proven_at", "proven_run", "who", "why")
    row = {name: getattr(reference, name) for name in names}
    return {**row, "label": reference.label.value, "view": reference.view.to_bytes()}


def to_reference(row: RowMapping) -> Reference:
    """Raises StoreError ``store-damaged`` when the bytes are no view."""
    try:
        view = View.from_bytes(row["view"])
    except ValueError as e:
        raise StoreError("store-damaged", f"reference of {row['feed']}: {e}") from None
    names = ("feed", "created_at", "created_run", "proven_at", "proven_run", "who", "why")
    return Reference(label=Label(row["label"]), view=view, **{name: row[name] for name in names})
