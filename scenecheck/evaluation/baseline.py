"""The evaluation to compare with, and the rules that say what got worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.evaluation.policy import Policy
    from scenecheck.evaluation.results import Evaluation, Flip, Regression


class Baseline: ...


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises UsageError ``bad-baseline`` naming file and field."""
    raise NotImplementedError


def write_baseline(evaluation: Evaluation, path: Path, *, reason: str) -> None:
    """Write an evaluation as the baseline, whole or not at all."""
    raise NotImplementedError


def compare(evaluation: Evaluation, baseline: Baseline, policy: Policy) -> list[Regression]:
    """What got worse than the policy tolerates, one `Regression` for each rule broken.

    Raises UsageError ``bad-baseline`` when the baseline is of another manifest.
    """
    raise NotImplementedError


def flips(evaluation: Evaluation, baseline: Baseline) -> list[Flip]:
    """Frames called otherwise than in the baseline, the largest change of score first."""
    raise NotImplementedError
