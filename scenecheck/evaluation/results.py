"""What an evaluation finds, as values: in memory, in `eval --json` and in a baseline they are the same types.

Shares and probabilities lie in 0..1, intervals ``(low, high)`` are of 95 %, by whole groups where frames of
one camera are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from scenecheck.types import Label

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.evaluation.manifest import Example, Manifest
    from scenecheck.types import Sighting, Thresholds, Verdict

Interval = tuple[float, float]
Share = Field(ge=0.0, le=1.0)


class Figures(BaseModel):
    """Base of everything that leaves as JSON: frozen, nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Counts(Figures):
    """What was judged: frames (a clip has several), rows of the manifest, groups (cameras)."""

    frames: int
    groups: int
    examples: int
    indoor_frames: int
    indoor_groups: int


class RocPoint(Figures):
    """One step of a ROC curve: what is above ``threshold`` is called indoor."""

    fpr: float = Share
    recall: float = Share
    threshold: float = Share


class FrameFigures(Figures):
    """Ranking of single frames. ``recall_at_fpr`` is keyed by the false-positive rate, ``roc`` ends near zero."""

    auroc: float = Share
    auroc_ci: Interval
    recall_at_fpr: dict[str, float]
    recall_at_fpr_ci: dict[str, Interval]
    roc: list[RocPoint]


class IndoorGroups(Figures):
    """Rooms: ``missed`` are called street. ``missed_at_most`` is what the number proves (one-sided 95 %)."""

    n: int
    missed: list[str]
    unknown: list[str]
    missed_ci: Interval
    missed_at_most: float = Share


class StreetGroups(Figures):
    """Streets: ``flagged`` are called indoor. ``flagged_at_most`` is what the number proves (one-sided 95 %)."""

    n: int
    flagged: list[str]
    unknown: list[str]
    flagged_ci: Interval
    flagged_at_most: float = Share


class GroupFigures(Figures):
    """Verdicts of whole groups, by the product's own rule."""

    indoor: IndoorGroups
    street: StreetGroups
    unknown_share: float = Share


class ReliabilityBin(Figures):
    """One bar of the reliability diagram: scores from ``low`` to ``high``, their mean and the truth's."""

    low: float
    high: float
    n: int
    p_mean: float = Share
    indoor_share: float = Share


class Calibration(Figures):
    """Whether a probability means what it says (Guo et al., 2017)."""

    ece: float = Share
    ece_ci: Interval
    bins: list[ReliabilityBin]


class Slice(Figures):
    """Frames of one kind: the shares called right, unknown and wrong by the card's thresholds.

    ``auroc`` is null where only one label is there; ``missed`` and ``flagged`` are groups wholly judged.
    """

    frames: int
    groups: int
    right: float = Share
    unknown: float = Share
    wrong: float = Share
    auroc: float | None
    missed: list[str]
    flagged: list[str]


class Confusion(Figures):
    """Frames of one truth, by what they were called."""

    street: int = 0
    indoor: int = 0
    unknown: int = 0


class ConditionFigures(Figures):
    """Frames that the product found in one condition (``none``: fit as evidence), by truth."""

    street: Confusion
    indoor: Confusion


class WorstError(Figures):
    """A frame furthest on the wrong side. ``p_indoor`` says how sure the model was."""

    path: str
    label: Label
    group: str
    p_indoor: float = Share
    at_s: float


class Speed(Figures):
    """How fast it went; null where nothing had to be computed.

    ``pictures_per_s`` is the whole run, ``bare_pictures_per_s`` decode, resize and inference alone on the same
    cores, measured in the same run on a few of the same pictures. ``latency_ratio`` is CPU time of inference
    over CPU time of decode and resize: a slower model raises it on any machine. ``n_cached`` frames came from
    the cache.
    """

    pictures_per_s: float
    bare_pictures_per_s: float | None
    inference_ms: float | None
    prepare_ms: float | None
    latency_ratio: float | None
    n_cached: int


class ModelFacts(Figures):
    """What judged."""

    name: str
    version: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    provider: str
    precision: str


class Regression(Figures):
    """One rule broken. ``sentence`` is for people; ``names`` are the groups or pictures concerned."""

    what: str
    old: float | str | None
    new: float | str | None
    sentence: str
    interval: Interval | None = None
    p_value: float | None = None
    names: list[str] = []


class Flip(Figures):
    """A frame called otherwise than in the baseline, with both scores."""

    path: str
    at_s: float
    label: Label
    group: str
    old: Label
    new: Label
    old_p_indoor: float = Share
    new_p_indoor: float = Share


class StressCell(Figures):
    """One corruption at one severity, beside the same pictures as they are.

    Shifts are means of p_indoor. ``missed`` are rooms (groups) now called street, ``flagged`` streets now called
    indoor, ``unknown`` groups of either that now have no answer; none of them was so before.
    """

    auroc: float = Share
    shift_street: float
    shift_indoor: float
    missed: list[str]
    flagged: list[str]
    unknown: list[str]


class StressReport(Figures):
    """A cell for each corruption and each of ``severities``; ``frames`` were taken of ``of_examples``."""

    frames: int
    indoor_frames: int
    of_examples: int
    seed: int
    clean_auroc: float = Share
    severities: list[float]
    corruptions: dict[str, list[StressCell]]


class BaselineFrame(Figures):
    """A frame's score then, and what it alone was called."""

    path: str
    at_s: float
    label: Label
    group: str
    p_indoor: float = Share
    called: Label


class Baseline(Figures):
    """What an evaluation found, and every frame's score, schema ``scenecheck/eval-baseline/1``."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["scenecheck/eval-baseline/1"] = Field(
        default="scenecheck/eval-baseline/1", alias="schema"
    )
    reason: str = Field(min_length=1)
    manifest: str
    manifest_sha256: str
    pictures_sha256: str
    model: ModelFacts
    n: Counts
    frames: FrameFigures
    groups: GroupFigures
    calibration: Calibration
    slices: dict[str, Slice]
    speed: Speed
    scores: tuple[BaselineFrame, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """One example with what was found: ``sightings`` are all frames sampled from it.

    ``verdict`` is what `scenecheck check` says of it; its sightings are those it needed for that.
    """

    example: Example
    sightings: tuple[Sighting, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """A group of one truth with its verdict over all that its examples brought."""

    name: str
    label: Label
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything found about one model on one manifest. `EvalReport` is its face as JSON.

    ``examples`` are in the manifest's order, ``judged_groups`` by name; ``pictures_sha256`` hashes the
    files. ``worst`` lists frames on the wrong side of one half, the surest mistake first.
    ``golden`` is what differs from the card's own answers (`scenecheck.evaluation.golden`).
    """

    manifest: Manifest
    model: ModelFacts
    thresholds: Thresholds
    pictures_sha256: str
    examples: tuple[Judged, ...]
    judged_groups: tuple[JudgedGroup, ...]
    n: Counts
    frames: FrameFigures
    groups: GroupFigures
    calibration: Calibration
    slices: dict[str, Slice]
    conditions: dict[str, ConditionFigures]
    worst: tuple[WorstError, ...]
    speed: Speed
    golden: tuple[Regression, ...] = ()

    @property
    def path(self) -> Path:
        """The manifest's file."""
        return self.manifest.path
