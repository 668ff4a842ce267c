"""The JSON that machines read, as types; the JSON Schemas beside this file are generated from them.

``make docs`` writes them anew; `make lint` fails while they differ.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from scenecheck.evaluation.results import (
    Calibration,
    ConditionFigures,
    Counts,
    Flip,
    FrameFigures,
    GroupFigures,
    ModelFacts,
    Regression,
    Slice,
    Speed,
    StressReport,
    WorstError,
)
from scenecheck.records import FindingKind
from scenecheck.types import Condition, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenecheck.classifier import Classifier
    from scenecheck.evaluation.results import Baseline, Evaluation
    from scenecheck.feeds import Feed
    from scenecheck.pipeline import Judgement
    from scenecheck.records import Result

Probability = Field(ge=0.0, le=1.0)

SCHEMA_FOLDER = Path(__file__).parent / "json_schemas"


class _Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)


class FrameReport(_Contract):
    """One frame: seconds into the source, its probability, what speaks against it as evidence."""

    at_s: float = Field(ge=0.0)
    p_indoor: float = Probability
    conditions: list[Condition]


class ErrorReport(_Contract):
    """Why there is no (full) answer: a stable code, a sentence, what to try."""

    code: str
    message: str
    try_: str = Field(alias="try")


class ModelReport(_Contract):
    """What judged."""

    name: str
    version: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    provider: str


class SecondsReport(_Contract):
    """Durations in seconds from the start; null for what was not reached."""

    open: float | None
    first_frame: float | None
    total: float


class CheckReport(_Contract):
    """One source judged by ``scenecheck check --json``."""

    schema_: Literal["scenecheck/check/1"] = Field(default="scenecheck/check/1", alias="schema")
    source: str
    verdict: Label
    p_indoor: float | None = Field(ge=0.0, le=1.0)
    reason: str
    frames: list[FrameReport]
    error: ErrorReport | None
    model: ModelReport
    seconds: SecondsReport

    @classmethod
    def of(cls, judgement: Judgement, classifier: Classifier) -> CheckReport:
        verdict, error, card = judgement.verdict, judgement.error, classifier.card
        return cls(
            source=judgement.source,
            verdict=verdict.label,
            p_indoor=_rounded(verdict.p_indoor, 6),
            reason=verdict.reason,
            frames=[
                FrameReport(
                    at_s=round(s.at_s, 3), p_indoor=round(s.p_indoor, 6), conditions=sorted(s.conditions)
                )
                for s in verdict.sightings
            ],
            error=None
            if error is None
            else ErrorReport(code=error.code, message=str(error), try_=error.try_),
            model=ModelReport(
                name=card.name, version=card.version, sha256=card.sha256, provider=classifier.provider
            ),
            seconds=SecondsReport(
                open=_rounded(judgement.open_s, 3),
                first_frame=_rounded(judgement.first_frame_s, 3),
                total=round(judgement.total_s, 3),
            ),
        )


class BaselineReport(_Contract):
    """What the evaluation was compared with, and every frame called otherwise since."""

    reason: str
    model: ModelFacts
    flips: list[Flip]


class EvalReport(_Contract):
    """A model judged on a manifest by ``scenecheck eval --json``."""

    schema_: Literal["scenecheck/eval/1"] = Field(default="scenecheck/eval/1", alias="schema")
    manifest: str
    model: ModelFacts
    n: Counts
    frames: FrameFigures
    groups: GroupFigures
    calibration: Calibration
    slices: dict[str, Slice]
    conditions: dict[str, ConditionFigures]
    worst: list[WorstError]
    speed: Speed
    stress: StressReport | None
    baseline: BaselineReport | None
    regressions: list[Regression]

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        *,
        baseline: Baseline | None = None,
        flips: Sequence[Flip] = (),
        regressions: Sequence[Regression] = (),
        stress: StressReport | None = None,
    ) -> EvalReport:
        return cls(
            manifest=str(evaluation.path),
            model=evaluation.model,
            n=evaluation.n,
            frames=evaluation.frames,
            groups=evaluation.groups,
            calibration=evaluation.calibration,
            slices=evaluation.slices,
            conditions=evaluation.conditions,
            worst=list(evaluation.worst),
            speed=evaluation.speed,
            stress=stress,
            baseline=None
            if baseline is None
            else BaselineReport(reason=baseline.reason, model=baseline.model, flips=list(flips)),
            regressions=list(regressions),
        )


class VerdictCounts(_Contract):
    """How many feeds were called what; ``unreachable`` are those of which not one picture came."""

    street: int = 0
    indoor: int = 0
    unknown: int = 0
    unreachable: int = 0


class FindingReport(_Contract):
    """What a person should know about a feed, and since when (UTC) it holds."""

    feed: str
    kind: FindingKind
    since: datetime
    detail: str


class AuditReport(_Contract):
    """A run of ``scenecheck audit --json``: all its feeds, also those an earlier attempt judged.

    ``findings`` are ordered by how grave they are, then by feed. ``seconds`` is what this command took.
    """

    schema_: Literal["scenecheck/audit/1"] = Field(default="scenecheck/audit/1", alias="schema")
    run: int
    feeds: int
    verdicts: VerdictCounts
    findings: list[FindingReport]
    seconds: float = Field(ge=0.0)

    @classmethod
    def of(cls, run: int, results: Sequence[Result], *, seconds: float) -> AuditReport:
        called = Counter("unreachable" if r.is_unreachable else r.label.value for r in results)
        order = list(FindingKind)
        found = sorted(
            ((r.feed, f) for r in results for f in r.findings), key=lambda p: (order.index(p[1].kind), p[0])
        )
        return cls(
            run=run,
            feeds=len(results),
            verdicts=VerdictCounts(**called),
            findings=[FindingReport(feed=n, kind=f.kind, since=f.since, detail=f.detail) for n, f in found],
            seconds=round(seconds, 3),
        )


class FeedResult(_Contract):
    """One feed of a run, a line of ``audit.jsonl``: what `scenecheck report` writes.

    ``verdict`` is unreachable where not one picture came. ``conditions`` count the frames that they spoke
    against. ``address`` is free of secrets. Times are UTC.
    """

    schema_: Literal["scenecheck/feed/1"] = Field(default="scenecheck/feed/1", alias="schema")
    run: int
    feed: str
    name: str
    address: str
    tags: list[str]
    expect: Label
    verdict: Literal["street", "indoor", "unknown", "unreachable"]
    p_indoor: float | None = Field(ge=0.0, le=1.0)
    reason: str
    frames: int
    conditions: dict[Condition, int]
    error: ErrorReport | None
    findings: list[FindingReport]
    judged_at: datetime
    seconds: float = Field(ge=0.0)

    @classmethod
    def of(cls, result: Result) -> FeedResult:
        error = result.error
        return cls(
            run=result.run,
            feed=result.feed,
            name=result.name,
            address=result.address,
            tags=list(result.tags),
            expect=result.expect,
            verdict="unreachable" if result.is_unreachable else result.label.value,
            p_indoor=result.p_indoor,
            reason=result.reason,
            frames=result.n_frames,
            conditions=dict(result.conditions),
            error=None
            if error is None
            else ErrorReport(code=error.code, message=error.message, try_=error.try_),
            findings=[
                FindingReport(feed=result.feed, kind=f.kind, since=f.since, detail=f.detail)
                for f in result.findings
            ],
            judged_at=result.finished_at,
            seconds=round(result.total_s, 3),
        )


class PublishReport(_Contract):
    """Where a feed is published, and what is shown while its view is not proven."""

    hls: str | None
    rtsp: str | None
    snapshot: str | None
    mask: Literal["card", "pixelate", "blur"]
    audio: bool


class FeedReport(_Contract):
    """One feed of an inventory, by ``scenecheck feeds list --json``: without user and password.

    ``password`` says where it stands: ``env NAME``, ``file PATH``, ``url``, or null where there is none.
    """

    schema_: Literal["scenecheck/feeds/1"] = Field(default="scenecheck/feeds/1", alias="schema")
    id: str
    name: str
    source: str
    password: str | None
    tags: list[str]
    expect: Literal["street", "indoor"]
    publish: PublishReport | None
    transport: Literal["tcp", "udp"]
    deadline_s: float
    frames: int
    tls_ca: str | None
    insecure: bool
    allow_hosts: list[str]
    line: int

    @classmethod
    def of(cls, feed: Feed) -> FeedReport:
        publish = feed.publish
        in_url = bool(getattr(feed.source, "password", ""))
        return cls(
            id=feed.id,
            name=feed.name,
            source=str(feed.source),
            password=str(feed.secret) if feed.secret else "url" if in_url else None,
            tags=list(feed.tags),
            expect=feed.expect,
            publish=None
            if publish is None
            else PublishReport(
                hls=None if publish.hls is None else str(publish.hls),
                rtsp=None if publish.rtsp is None else str(publish.rtsp),
                snapshot=None if publish.snapshot is None else str(publish.snapshot),
                mask=publish.mask,
                audio=publish.audio,
            ),
            transport=feed.transport,
            deadline_s=feed.deadline_s,
            frames=feed.frames,
            tls_ca=None if feed.tls_ca is None else str(feed.tls_ca),
            insecure=feed.insecure,
            allow_hosts=list(feed.allow_hosts),
            line=feed.line,
        )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


CONTRACTS: dict[str, type[BaseModel]] = {
    "audit-1": AuditReport,
    "check-1": CheckReport,
    "eval-1": EvalReport,
    "feed-1": FeedResult,
    "feeds-1": FeedReport,
}


def json_schema(name: str) -> str:
    """The JSON Schema of a contract as text, as it is shipped."""
    schema = CONTRACTS[name].model_json_schema(by_alias=True, mode="serialization")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
