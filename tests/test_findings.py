"""Findings: what a feed's history says a person should know, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scenecheck.findings import (
    PROOF_AFTER,
    REFERENCE_FRAMES,
    admissible,
    findings,
    how_far,
    next_reference,
)
from scenecheck.records import ErrorNote, Finding, FindingKind, Memory, Mosaic, Reference, Result
from scenecheck.types import Condition, Label
from scenecheck.view import GRID, Comparison, View

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SAME = Comparison(True, 0.999, 0.0, 0.0, 0.0, 1.0, "structure+embedding")
MOVED = Comparison(False, 0.01, 0.25, -0.1, 3.0, 1.25, "structure+embedding")
BLIND = Comparison(False, 0.0, None, None, None, None, "none")
TIMEOUT = ErrorNote("connect-timeout", "smg-01: nobody answers", "check power")
KIND = FindingKind


def view(seed: int = 0, *, model: bytes = bytes(8), n_frames: int = 5) -> View:
    rng = np.random.default_rng(seed)
    field = rng.integers(-127, 128, (2, *GRID), dtype=np.int8)
    return View(rng.integers(-127, 128, 16, dtype=np.int8), field, model, n_frames)


VIEW = view()
PROPOSED = Reference("a", Label.STREET, VIEW, NOON - 10 * HOUR, created_run=1)
PROVEN = replace(PROPOSED, proven_at=NOON - 5 * HOUR, proven_run=2)
ACCEPTED = replace(PROPOSED, created_run=None, who="Ayu", why="re-hung")


def result(label: Label = Label.STREET, **fields: object) -> Result:
    base = Result("a", Label.STREET, label, "5 frames", 0.01, NOON, 1.0, label_alone=label, n_frames=5)
    return replace(base, **fields)  # type: ignore[arg-type]


DEAD = result(Label.UNKNOWN, error=TIMEOUT, n_frames=0, p_indoor=None)


def left(*kinds: FindingKind, days_ago: int = 1, reference: Reference | None = None) -> Memory:
    """Memory of a last result that left findings of these kinds open."""
    since = NOON - timedelta(days=days_ago)
    return Memory(result(findings=tuple(Finding(k, since, "before") for k in kinds)), reference)


def kinds(found: tuple[Finding, ...]) -> list[FindingKind]:
    return [f.kind for f in found]


@pytest.mark.parametrize(
    ("now", "memory", "expected"),
    [
        (result(), Memory(), []),
        (result(), left(), []),
        (result(Label.INDOOR), Memory(), [KIND.NEWLY_INDOOR]),
        (result(Label.INDOOR), left(KIND.NEWLY_INDOOR), [KIND.STILL_INDOOR]),
        (result(Label.INDOOR), left(KIND.STILL_INDOOR), [KIND.STILL_INDOOR]),
        (result(Label.INDOOR), left(KIND.RECOVERED), [KIND.NEWLY_INDOOR]),
        (result(), left(KIND.STILL_INDOOR), [KIND.RECOVERED]),
        (result(), left(KIND.RECOVERED), []),
        (result(Label.UNKNOWN), left(KIND.NEWLY_INDOOR), [KIND.STILL_INDOOR, KIND.UNKNOWN]),
        (DEAD, left(KIND.NEWLY_INDOOR), [KIND.STILL_INDOOR, KIND.NEWLY_UNREACHABLE]),
        (DEAD, Memory(), [KIND.NEWLY_UNREACHABLE]),
        (DEAD, left(KIND.NEWLY_UNREACHABLE), [KIND.STILL_UNREACHABLE]),
        (result(), left(KIND.STILL_UNREACHABLE), []),
        (result(Label.UNKNOWN, error=TIMEOUT), Memory(), [KIND.UNKNOWN]),
        (result(Label.INDOOR, error=TIMEOUT), Memory(), [KIND.NEWLY_INDOOR]),
        (result(Label.INDOOR, expect=Label.INDOOR), left(KIND.STILL_INDOOR), []),
        (result(Label.STREET, expect=Label.INDOOR), Memory(), [KIND.UNEXPECTED]),
        (result(comparison=MOVED), Memory(None, PROVEN), [KIND.MOVED]),
        (result(comparison=MOVED), Memory(None, PROPOSED), [KIND.MOVED]),
        (result(comparison=SAME), left(KIND.MOVED, reference=PROVEN), []),
        (result(comparison=BLIND), Memory(None, PROVEN), []),
        (result(comparison=BLIND), left(KIND.MOVED, reference=PROVEN), [KIND.MOVED]),
        (replace(DEAD), left(KIND.MOVED, reference=PROVEN), [KIND.MOVED, KIND.NEWLY_UNREACHABLE]),
        (
            result(Label.INDOOR, comparison=MOVED),
            left(reference=PROVEN),
            [KIND.NEWLY_INDOOR, KIND.MOVED],
        ),
        (result(Label.UNKNOWN, conditions={Condition.FROZEN: 4}), Memory(), [KIND.FROZEN]),
        (result(conditions={Condition.FROZEN: 1}), Memory(), []),
        (result(Label.UNKNOWN, conditions={Condition.DARK: 5, Condition.FLAT: 5}), Memory(), [KIND.COVERED]),
        (result(Label.UNKNOWN, conditions={Condition.DAMAGED: 5}), Memory(), [KIND.UNKNOWN]),
        (
            result(Label.INDOOR, conditions={Condition.BLURRED: 3}),
            Memory(),
            [KIND.NEWLY_INDOOR, KIND.COVERED],
        ),
    ],
)
def test_findings_when_a_result_follows_what_is_known_then_say_what_to_act_on(
    now: Result, memory: Memory, expected: list[FindingKind]
) -> None:
    assert kinds(findings(now, memory)) == expected


def test_findings_when_something_lasts_then_since_is_when_it_began() -> None:
    began = NOON - timedelta(days=9)
    for now, kind in (
        (result(Label.INDOOR), KIND.NEWLY_INDOOR),
        (result(Label.UNKNOWN), KIND.UNKNOWN),
        (DEAD, KIND.NEWLY_UNREACHABLE),
        (result(comparison=MOVED), KIND.MOVED),
        (result(Label.UNKNOWN, conditions={Condition.FROZEN: 4}), KIND.FROZEN),
    ):
        found = findings(now, left(kind, days_ago=9, reference=replace(PROVEN)))
        assert [f.since for f in found if f.kind.group == kind.group] == [began]
        assert findings(now, Memory(None, PROVEN))[0].since == NOON


def test_findings_when_a_person_accepted_after_the_move_then_it_is_over() -> None:
    accepted = replace(ACCEPTED, created_at=NOON - 2 * HOUR)
    assert findings(DEAD, left(KIND.MOVED, reference=accepted)) == findings(DEAD, left(reference=accepted))
    # Moved again since then: that is a new finding.
    (found,) = findings(result(comparison=MOVED), left(KIND.MOVED, reference=accepted))
    assert (found.kind, found.since) == (KIND.MOVED, NOON)
    older = replace(ACCEPTED, created_at=NOON - timedelta(days=3))
    assert KIND.MOVED in kinds(findings(DEAD, left(KIND.MOVED, reference=older)))


def test_findings_when_told_to_people_then_each_is_one_sentence_with_its_cause() -> None:
    (indoor, moved) = findings(result(Label.INDOOR, comparison=MOVED), Memory(None, ACCEPTED))
    assert indoor.detail == "shows an interior: 5 frames"
    assert moved.detail == (
        "no longer shows the view accepted on 2026-03-01 02:00 UTC (1.0% the same): what stood in its "
        "middle is now 25% of the width to the right, 10% of the height up, turned 3° clockwise, 1.2× as large"
    )
    far = replace(MOVED, shift_x=None, shift_y=None, rotation_deg=None, zoom=None)
    (moved,) = findings(result(comparison=far), Memory(None, PROVEN))
    assert moved.detail.endswith("(1.0% the same): how far cannot be said")
    (dead,) = findings(DEAD, Memory())
    assert dead.detail == "smg-01: nobody answers (connect-timeout)"
    (back,) = findings(result(), left(KIND.STILL_INDOOR))
    assert back.detail == "shows the street again, after an interior since 2026-02-28 12:00 UTC: 5 frames"


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (SAME, None),
        (replace(SAME, shift_x=-0.5), "50% of the width to the left"),
        (replace(SAME, shift_y=0.2), "20% of the height down"),
        (replace(SAME, rotation_deg=-7.0), "turned 7° anticlockwise"),
        (replace(SAME, zoom=0.55), "0.55× as large"),
    ],
)
def test_how_far_when_an_alignment_stands_out_then_says_it(comparison: Comparison, words: str | None) -> None:
    assert how_far(comparison) == words


@pytest.mark.parametrize("kind", FindingKind)
def test_group_when_named_by_fail_on_then_is_one_word(kind: FindingKind) -> None:
    assert kind.group in {
        "indoor",
        "moved",
        "unreachable",
        "recovered",
        "frozen",
        "covered",
        "unexpected",
        "unknown",
    }


# --- references ----------------------------------------------------------------------------------


def test_next_reference_when_a_feed_is_judged_again_and_again_then_proposed_proven_refined_and_left() -> None:
    first = next_reference(result(), VIEW, Memory(), run=1)
    assert first is not None
    assert (first.created_at, first.created_run, first.is_trusted) == (NOON, 1, False)
    soon = result(comparison=SAME, finished_at=NOON + PROOF_AFTER / 2)
    refined = next_reference(soon, view(1), Memory(None, first), run=2)
    assert refined is not None
    assert (refined.is_trusted, refined.view.n_frames) == (False, 10)
    later = result(comparison=SAME, finished_at=NOON + PROOF_AFTER)
    assert (unproven := next_reference(later, VIEW, Memory(None, first), run=1)) is not None
    assert not unproven.is_trusted
    kept = next_reference(later, VIEW, Memory(None, refined), run=2)
    assert kept is not None
    assert (kept.is_trusted, kept.proven_run, kept.proven_at, kept.created_at) == (
        True,
        2,
        NOON + PROOF_AFTER,
        NOON,
    )
    for run in range(3, 200):
        following = next_reference(later, VIEW, Memory(None, kept), run=run)
        if following is None:
            break
        assert following.proven_run == 2
        kept = following
    assert REFERENCE_FRAMES <= kept.view.n_frames < REFERENCE_FRAMES + 5


@pytest.mark.parametrize(
    "now",
    [
        result(Label.INDOOR, comparison=SAME),
        result(Label.UNKNOWN, comparison=SAME),
        result(label_alone=Label.UNKNOWN, comparison=SAME),
        result(comparison=SAME, error=TIMEOUT),
        result(comparison=SAME, conditions={Condition.FROZEN: 1}),
        result(comparison=SAME, conditions={Condition.DAMAGED: 1}),
        result(expect=Label.INDOOR, comparison=SAME),
    ],
)
def test_next_reference_when_the_frames_prove_nothing_by_themselves_then_stays(now: Result) -> None:
    for reference in (None, PROPOSED, PROVEN, ACCEPTED):
        assert next_reference(now, VIEW, Memory(None, reference), run=9) is None


@pytest.mark.parametrize("comparison", [MOVED, BLIND, None])
@pytest.mark.parametrize("reference", [PROPOSED, PROVEN, ACCEPTED])
def test_next_reference_when_the_view_is_not_the_same_then_only_a_person_may_change_it(
    comparison: Comparison | None, reference: Reference
) -> None:
    assert next_reference(result(comparison=comparison), VIEW, Memory(None, reference), run=9) is None


def test_next_reference_when_the_model_changed_then_embeddings_are_not_mixed() -> None:
    now = result(comparison=SAME)
    assert next_reference(now, view(model=b"new-mode"), Memory(None, PROVEN), run=9) is None
    proven = next_reference(now, view(model=b"new-mode"), Memory(None, PROPOSED), run=9)
    assert proven is not None
    assert proven.is_trusted
    assert proven.view is PROPOSED.view


def test_next_reference_when_an_interior_is_expected_then_only_its_coarse_view_is_kept() -> None:
    now = result(Label.INDOOR, expect=Label.INDOOR)
    first = next_reference(now, VIEW, Memory(), run=1)
    assert first is not None
    assert first.view.is_coarse
    again = replace(now, comparison=SAME, finished_at=NOON + PROOF_AFTER)
    proven = next_reference(again, view(2), Memory(None, first), run=2)
    assert proven is not None
    assert proven.view.is_coarse
    assert (proven.is_trusted, proven.view.n_frames) == (True, 10)


def test_admissible_when_only_one_glance_proposed_the_view_then_sameness_excuses_nothing() -> None:
    assert admissible(SAME, PROPOSED) is None
    assert admissible(MOVED, PROPOSED) is MOVED
    assert admissible(SAME, PROVEN) is admissible(SAME, ACCEPTED) is SAME
    assert admissible(None, PROVEN) is admissible(SAME, None) is None


def test_records_when_they_make_no_sense_then_are_refused() -> None:
    calls: list[Callable[[], object]] = [
        lambda: result(p_indoor=float("nan")),
        lambda: result(p_indoor=1.5),
        lambda: result(expect=Label.UNKNOWN),
        lambda: result(finished_at=NOON.replace(tzinfo=None)),
        lambda: replace(PROVEN, label=Label.UNKNOWN),
        lambda: Mosaic(bytes(433), bytes(144)),
        lambda: Mosaic(bytes(432), bytes(145)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="expected"):
            call()


def test_mosaic_when_made_of_a_tile_then_holds_its_cells_and_where_an_interior_was_seen() -> None:
    tile = np.zeros((3, 180, 320), np.uint8)
    tile[0, :, 160:] = 200
    made = Mosaic.of(tile, np.array([[-9.0, 9.0]], np.float32))
    cells = np.frombuffer(made.cells, np.uint8).reshape(9, 16, 3)
    assert (cells[:, :8] == 0).all()
    assert (cells[:, 8:] == (200, 0, 0)).all()
    heat = np.frombuffer(made.heat, np.int8).reshape(9, 16)
    assert (heat[:, 0] < -100).all()
    assert (heat[:, -1] > 100).all()


# --- any history ---------------------------------------------------------------------------------

any_comparison = st.sampled_from([SAME, MOVED, BLIND])
any_conditions = st.dictionaries(st.sampled_from(Condition), st.integers(1, 5), max_size=2)


class AnyHistory(RuleBasedStateMachine):
    """Whatever a feed goes through, told day by day to `findings` and `next_reference`."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.run = NOON, 0
        self.memory = Memory()
        self.indoor_since: datetime | None = None
        self.moved_since: datetime | None = None
        self.had_indoor = False

    @rule(
        label=st.sampled_from(Label),
        alone=st.none() | st.sampled_from(Label),
        comparison=any_comparison,
        conditions=any_conditions,
        fails=st.booleans(),
        n_frames=st.integers(0, 5),
        hours=st.integers(1, 30),
    )
    def judged(
        self,
        label: Label,
        alone: Label | None,
        comparison: Comparison,
        conditions: dict[Condition, int],
        fails: bool,
        n_frames: int,
        hours: int,
    ) -> None:
        self.now, self.run = self.now + timedelta(hours=hours), self.run + 1
        n_frames = n_frames if fails else 5
        if n_frames == 0:
            label, alone = Label.UNKNOWN, None
        now = result(
            label,
            label_alone=alone or label,
            finished_at=self.now,
            n_frames=n_frames,
            conditions=conditions if n_frames else {},
            error=TIMEOUT if fails else None,
            comparison=comparison if self.memory.reference and n_frames else None,
        )
        found = findings(now, self.memory)
        self._check(now, found)
        kept = next_reference(now, view(self.run), self.memory, run=self.run)
        if kept is not None:
            assert now.label is now.label_alone is Label.STREET
            before = self.memory.reference
            assert before is None or (before.created_at == kept.created_at and before.who == kept.who)
        self.memory = Memory(replace(now, findings=found), kept or self.memory.reference)

    @rule(minutes=st.integers(1, 50))
    def accepted(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        reference = Reference("a", Label.STREET, view(), self.now, who="Ayu", why="right again")
        self.memory = replace(self.memory, reference=reference)
        self.moved_since = None

    @precondition(lambda self: self.indoor_since is not None)
    @invariant()
    def an_interior_stays_until_a_street_is_proven(self) -> None:
        assert self.memory.previous is not None
        (indoor,) = [f for f in self.memory.previous.findings if f.kind.group == "indoor"]
        assert indoor.since == self.indoor_since

    def _check(self, now: Result, found: tuple[Finding, ...]) -> None:
        groups = [f.kind.group for f in found]
        assert len(groups) == len(set(groups))
        assert all(f.detail and "\n" not in f.detail and f.since <= self.now for f in found)
        was_indoor = self.indoor_since is not None
        if now.label is Label.INDOOR:
            expected = KIND.STILL_INDOOR if was_indoor else KIND.NEWLY_INDOOR
            assert expected in kinds(found)
            self.indoor_since = self.indoor_since or self.now
        elif now.label is Label.STREET:
            self.indoor_since = None
        assert (KIND.RECOVERED in kinds(found)) == (was_indoor and now.label is Label.STREET)
        if now.comparison is SAME:
            self.moved_since = None
        elif now.comparison is MOVED:
            self.moved_since = self.moved_since or self.now
        assert [f.since for f in found if f.kind is KIND.MOVED] == [s for s in (self.moved_since,) if s]
        # No feed without a verdict goes without a word.
        assert now.label is not Label.UNKNOWN or found


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.sampled_from(Label), any_conditions, st.booleans(), st.integers(0, 5))
def test_findings_when_given_the_same_then_say_the_same(
    label: Label, conditions: dict[Condition, int], fails: bool, n_frames: int
) -> None:
    now = result(label, conditions=conditions, error=TIMEOUT if fails else None, n_frames=n_frames)
    memory = Memory(replace(now, findings=findings(now, Memory())))
    once = findings(now, memory)
    assert once == findings(now, memory)
    again = findings(now, Memory(replace(now, findings=once)))
    assert [(f.kind, f.since) for f in again] == [
        (f.kind, f.since) for f in once if f.kind is not KIND.RECOVERED
    ]
