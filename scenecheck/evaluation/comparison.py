"""What got worse: rules, each of which looks at an evaluation beside its baseline and says so in a sentence."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scenecheck.errors import UsageError
from scenecheck.evaluation import metrics
from scenecheck.evaluation.baseline import baseline_frames, flips
from scenecheck.evaluation.results import Regression
from scenecheck.types import Label
from scenecheck.verdict import combine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenecheck.evaluation.policy import Policy
    from scenecheck.evaluation.results import Baseline, BaselineFrame, Evaluation, Flip

MAX_NAMES = 12
"""Names in a sentence; the regression itself has them all."""

_P_FLOOR = 1e-4
"""Beyond these odds a score says nothing, so its drift means nothing (as in `scenecheck.verdict`)."""


def compare(evaluation: Evaluation, baseline: Baseline, policy: Policy) -> list[Regression]:
    """What is off the card's golden answers, then what got worse than the policy tolerates, a `Regression` each.

    Raises UsageError ``bad-baseline`` when the baseline is of another manifest or of other pictures.
    """
    if baseline.manifest_sha256 != evaluation.manifest.sha256:
        then, now = baseline.n, evaluation.n
        raise UsageError(
            "bad-baseline",
            f"the baseline is of another manifest: {baseline.manifest} with {then.examples} rows in {then.groups} "
            f"groups; {evaluation.path} has {now.examples} in {now.groups}",
        )
    if baseline.pictures_sha256 != evaluation.pictures_sha256:
        raise UsageError("bad-baseline", f"pictures of {evaluation.path} have changed since the baseline")
    both = Pair(evaluation, baseline, policy)
    return [*evaluation.golden, *(found for rule in RULES if (found := rule.fails(both)) is not None)]


@dataclass(frozen=True)
class Pair:
    """An evaluation and its baseline, frame by frame; what both have is compared."""

    new: Evaluation
    old: Baseline
    policy: Policy

    @cached_property
    def frames(self) -> list[tuple[BaselineFrame, BaselineFrame]]:
        """Old and new of every frame that both have."""
        then = {(f.path, f.at_s): f for f in self.old.scores}
        now = baseline_frames(self.new)
        return [(then[f.path, f.at_s], f) for f in now if (f.path, f.at_s) in then]

    @cached_property
    def flips(self) -> list[Flip]:
        return flips(self.new, self.old)

    @cached_property
    def rankings(self) -> tuple[metrics.Ranking, metrics.Ranking]:
        """Old and new, over the same frames."""
        old, new = (np.array([pair[i].p_indoor for pair in self.frames]) for i in (0, 1))
        return metrics.Ranking(old, self.y), metrics.Ranking(new, self.y)

    @cached_property
    def y(self) -> metrics.Ints:
        return np.array([int(new.label is Label.INDOOR) for _, new in self.frames], np.int64)

    @cached_property
    def groups(self) -> metrics.Groups:
        return np.array([new.group for _, new in self.frames], np.str_)

    def scores_of(self, group: str, label: Label) -> str:
        """A group's combined score then and now, for people."""
        rows = [pair for pair in self.frames if pair[1].group == group and pair[1].label is label]
        if not rows:
            return group
        old, new = (combine([pair[i].p_indoor for pair in rows]) for i in (0, 1))
        return f"{group} ({old:.1%} indoor before, {new:.1%} now)"


class Rule(Protocol):
    """One thing that must not get worse, and its name."""

    @property
    def what(self) -> str: ...

    def fails(self, both: Pair) -> Regression | None:
        """The rule broken, in numbers and as a sentence, or None."""
        ...


@dataclass(frozen=True)
class Recall:
    """Indoor recall at a stated share of false alarms: beyond tolerance, and not by chance."""

    fpr: float

    @property
    def what(self) -> str:
        return f"recall_at_fpr {self.fpr}"

    def fails(self, both: Pair) -> Regression | None:
        old, new = (ranking.recall_at_fpr(self.fpr) for ranking in both.rankings)
        if old - new <= both.policy.recall_drop:
            return None
        drawn = metrics.paired_bootstrap(*both.rankings, both.y, both.groups, self.fpr)
        p_value = float((1 + np.sum(drawn >= 0)) / (1 + len(drawn)))
        if p_value >= both.policy.significance:
            return None
        low, high = metrics.interval(drawn)
        return Regression(
            what=self.what,
            old=round(old, 4),
            new=round(new, 4),
            interval=(low, high),
            p_value=round(p_value, 5),
            sentence=f"indoor recall at {self.fpr:.1%} false alarms fell from {old:.1%} to {new:.1%} "
            f"(difference {low:+.1%} to {high:+.1%}, p {p_value:.3g}; tolerated: {both.policy.recall_drop:.1%})",
        )


@dataclass(frozen=True)
class WrongGroups:
    """Groups of one truth that are called the opposite and were not before."""

    label: Label

    @property
    def what(self) -> str:
        return "missed" if self.label is Label.INDOOR else "flagged"

    def fails(self, both: Pair) -> Regression | None:
        if self.label is Label.INDOOR:
            text, tolerated = "rooms are called street", both.policy.newly_missed
            old, new = both.old.groups.indoor.missed, both.new.groups.indoor.missed
        else:
            text, tolerated = "streets are called indoor", both.policy.newly_flagged
            old, new = both.old.groups.street.flagged, both.new.groups.street.flagged
        names = sorted(set(new) - set(old))
        if len(names) <= tolerated:
            return None
        shown = listed([both.scores_of(name, self.label) for name in names])
        return Regression(
            what=self.what,
            old=len(old),
            new=len(new),
            names=names,
            sentence=f"{len(names)} {text} and were not before: {shown}",
        )


@dataclass(frozen=True)
class Unknown:
    """The share of groups that get no answer."""

    what = "unknown"

    def fails(self, both: Pair) -> Regression | None:
        old, new = both.old.groups, both.new.groups
        if new.unknown_share - old.unknown_share <= both.policy.unknown_rise:
            return None
        names = sorted(
            {*new.indoor.unknown, *new.street.unknown} - {*old.indoor.unknown, *old.street.unknown}
        )
        return Regression(
            what=self.what,
            old=old.unknown_share,
            new=new.unknown_share,
            names=names,
            sentence=f"groups without an answer rose from {old.unknown_share:.1%} to {new.unknown_share:.1%} "
            f"(tolerated: {both.policy.unknown_rise:.1%} more): {listed(names)}",
        )


@dataclass(frozen=True)
class Flips:
    """More groups with frames that turned wrong than with frames that turned right (McNemar, exact).

    Frames of one camera flip together, so a group counts once, by the balance of its frames.
    """

    what = "flips"

    def fails(self, both: Pair) -> Regression | None:
        balance: dict[str, int] = defaultdict(int)
        for flip in both.flips:
            balance[flip.group] += (flip.new is flip.label) - (flip.old is flip.label)
        n_worse, n_better = sum(b < 0 for b in balance.values()), sum(b > 0 for b in balance.values())
        p_value = metrics.mcnemar(n_worse, n_better)
        if p_value >= both.policy.significance:
            return None
        worse = [f for f in both.flips if f.old is f.label]
        shown = [f"{f.path} ({f.old_p_indoor:.1%} indoor before, {f.new_p_indoor:.1%} now)" for f in worse]
        return Regression(
            what=self.what,
            old=None,
            new=n_worse - n_better,
            p_value=round(p_value, 5),
            names=[f.path for f in worse],
            sentence=f"frames of {n_worse} groups turned wrong, of {n_better} right (McNemar p {p_value:.3g}): "
            f"{listed(shown)}",
        )


@dataclass(frozen=True)
class CalibrationError:
    """Probabilities that mean less than they did."""

    what = "ece"

    def fails(self, both: Pair) -> Regression | None:
        old, new = both.old.calibration.ece, both.new.calibration.ece
        if new - old <= both.policy.ece_rise:
            return None
        return Regression(
            what=self.what,
            old=old,
            new=new,
            interval=both.new.calibration.ece_ci,
            sentence=f"calibration error rose from {old:.3f} to {new:.3f} (tolerated: {both.policy.ece_rise:g} more)",
        )


@dataclass(frozen=True)
class Latency:
    """A model that takes longer beside decode and resize, on whatever machine."""

    what = "latency"

    def fails(self, both: Pair) -> Regression | None:
        old, new = both.old.speed.latency_ratio, both.new.speed.latency_ratio
        if old is None or new is None or both.old.model.provider != both.new.model.provider:
            return None
        if new <= both.policy.latency_ratio * old:
            return None
        return Regression(
            what=self.what,
            old=old,
            new=new,
            sentence=f"inference took {old:.1f} times as long as decode and resize, now {new:.1f} times "
            f"(tolerated: {both.policy.latency_ratio:g} times slower)",
        )


@dataclass(frozen=True)
class Drift:
    """The same model file that says something else: its decoder, preprocessing or runtime changed."""

    what = "drift"

    def fails(self, both: Pair) -> Regression | None:
        old, new = both.old.model, both.new.model
        if (old.sha256, old.provider) != (new.sha256, new.provider):
            return None
        moved = sorted(
            ((abs(_log_odds(b.p_indoor) - _log_odds(a.p_indoor)), a, b) for a, b in both.frames),
            key=lambda item: (-item[0], item[1].path),
        )
        moved = [item for item in moved if item[0] > both.policy.drift]
        n_lost = len(both.old.scores) - len(both.frames)
        if not moved and not n_lost:
            return None
        shown = [f"{a.path} ({a.p_indoor:.2%} indoor before, {b.p_indoor:.2%} now)" for _, a, b in moved]
        if n_lost:
            shown.append(f"{n_lost} frames of clips that are no longer taken")
        return Regression(
            what=self.what,
            old=0.0,
            new=round(moved[0][0], 4) if moved else None,
            names=[a.path for _, a, _ in moved],
            sentence=f"the same model gives other scores for {len(moved)} of {len(both.frames)} frames; decoder, "
            f"preprocessing or runtime changed: {listed(shown)}",
        )


@dataclass(frozen=True)
class SameName:
    """Another model under the name and version of the baseline's."""

    what = "model"

    def fails(self, both: Pair) -> Regression | None:
        old, new = both.old.model, both.new.model
        if (old.name, old.version) != (new.name, new.version) or old.sha256 == new.sha256:
            return None
        return Regression(
            what=self.what,
            old=old.sha256,
            new=new.sha256,
            sentence=f"{new.name} {new.version} is another file than the baseline's (SHA-256 {new.sha256[:12]}…, "
            f"not {old.sha256[:12]}…): give it a version of its own",
        )


RULES: tuple[Rule, ...] = (
    SameName(),
    Drift(),
    WrongGroups(Label.INDOOR),
    WrongGroups(Label.STREET),
    *(Recall(fpr) for fpr in metrics.FPRS),
    Flips(),
    Unknown(),
    CalibrationError(),
    Latency(),
)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many there are besides."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more if names else "none"


def _log_odds(p: float) -> float:
    p = min(max(p, _P_FLOOR), 1 - _P_FLOOR)
    return math.log(p / (1 - p))
