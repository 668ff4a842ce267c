"""The evaluation to compare with: a JSON file, committed beside the model, written with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from scenecheck.atomic import write_whole
from scenecheck.errors import UsageError
from scenecheck.evaluation.figures import frames_of
from scenecheck.evaluation.results import Baseline, BaselineFrame, Flip

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.evaluation.results import Evaluation

SCHEMA = "scenecheck/eval-baseline/1"

MAX_BYTES = 256 << 20
"""A frame has some 120 bytes; more than a million of them is another file under this name."""

_DIGITS = 6


def baseline_of(evaluation: Evaluation, *, reason: str) -> Baseline:
    """An evaluation as the baseline of the next ones."""
    return Baseline(
        reason=reason,
        manifest=evaluation.path.name,
        manifest_sha256=evaluation.manifest.sha256,
        pictures_sha256=evaluation.pictures_sha256,
        model=evaluation.model,
        n=evaluation.n,
        frames=evaluation.frames,
        groups=evaluation.groups,
        calibration=evaluation.calibration,
        slices=evaluation.slices,
        speed=evaluation.speed,
        scores=baseline_frames(evaluation),
    )


def baseline_frames(evaluation: Evaluation) -> tuple[BaselineFrame, ...]:
    """Every frame of an evaluation as a baseline holds it."""
    return tuple(
        BaselineFrame(
            path=example.path,
            at_s=round(sighting.at_s, 3),
            label=example.label,
            group=example.group,
            p_indoor=round(sighting.p_indoor, _DIGITS),
            called=called,
        )
        for example, sighting, called in frames_of(evaluation.examples, evaluation.thresholds)
    )


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises UsageError ``bad-baseline`` naming file and field."""
    try:
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
    except OSError as e:
        raise UsageError("bad-baseline", f"{path}: {e.strerror or 'cannot be read'}") from None
    try:
        found = json.loads(data[:MAX_BYTES])
        schema = found.get("schema") if isinstance(found, dict) else None
    except ValueError as e:
        raise UsageError("bad-baseline", f"{path}: no JSON: {e}") from None
    if schema != SCHEMA:
        raise UsageError("bad-baseline", f"{path}: schema: expected {SCHEMA}, got {schema!r}")
    try:
        return Baseline.model_validate_json(data)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError("bad-baseline", f"{path}: {field}: {first['msg']}") from None


def write_baseline(evaluation: Evaluation, path: Path, *, reason: str) -> None:
    """Write an evaluation as the baseline, whole or not at all.

    Raises UsageError ``bad-option`` for no reason and for a place that cannot be written.
    """
    if not reason.strip():
        raise UsageError("bad-option", "--update-baseline: a reason is needed")
    data = baseline_of(evaluation, reason=reason.strip()).model_dump(mode="json", by_alias=True)
    # A frame a line: a change of the file then reads as what changed.
    scores = ",\n".join("  " + json.dumps(s, ensure_ascii=False) for s in data.pop("scores"))
    head = json.dumps(data, indent=1, ensure_ascii=False).removesuffix("\n}")
    text = f'{head},\n "scores": [\n{scores}\n ]\n}}\n'
    write_whole(path, text)


def flips(evaluation: Evaluation, baseline: Baseline) -> list[Flip]:
    """Frames called otherwise than in the baseline, the largest change of score first."""
    then = {(f.path, f.at_s): f for f in baseline.scores}
    found = [
        Flip(
            path=now.path,
            at_s=now.at_s,
            label=now.label,
            group=now.group,
            old=old.called,
            new=now.called,
            old_p_indoor=old.p_indoor,
            new_p_indoor=now.p_indoor,
        )
        for now in baseline_frames(evaluation)
        if (old := then.get((now.path, now.at_s))) is not None and old.called is not now.called
    ]
    return sorted(found, key=lambda f: (-abs(f.new_p_indoor - f.old_p_indoor), f.path, f.at_s))
