"""The gate's decision: tables for each rule, and a state machine that holds it against its promises."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scenecheck.gate.decision import MAX_GAP_S, MAX_HELD, MAX_TRUST_S, Gate
from scenecheck.gate.values import (
    TRANSITIONS,
    Decision,
    Event,
    Fault,
    Flaw,
    Force,
    Lift,
    Policy,
    Reason,
    Release,
    Rule,
    Sameness,
    Sample,
    Signal,
    State,
    Tick,
    Trust,
    Unit,
    sample,
)
from scenecheck.types import Condition, Label, Sighting, Thresholds
from scenecheck.view import Comparison

STREET, INDOOR, UNKNOWN = Label
SAME, MOVED, UNSEEN = Sameness
POLICY = Policy()
GROUP = 10  # units, one every 0.1 s


class Feed:
    """A source with a key frame a second, driven by hand."""

    def __init__(self, policy: Policy = POLICY, *, needs_review: bool = False) -> None:
        self.now_s, self.seq = 99.9, -1
        self.gate = Gate(policy, now_s=self.now_s, needs_review=needs_review)
        self.last: Decision
        self.released: list[int] = []

    def give(self, event: Event) -> Decision:
        self.last = self.gate.step(event, now_s=self.now_s)
        if self.last.release is not None:
            first, last = self.last.release
            self.released += range(first, last + 1)
        return self.last

    def unit(self, *, suspect: bool = False, flaw: Flaw | None = None) -> int:
        self.now_s = round(self.now_s + 0.1, 6)  # key frames at whole seconds: no rounding hides a limit
        self.seq += 1
        self.give(Unit(self.seq, self.seq % GROUP == 0, suspect, flaw))
        return self.seq

    def judged(
        self,
        label: Label = STREET,
        sameness: Sameness = SAME,
        *conditions: Condition,
        seq: int | None = None,
    ) -> Decision:
        return self.give(Sample(self.seq if seq is None else seq, label, sameness, frozenset(conditions)))

    def group(self, label: Label = STREET, sameness: Sameness = SAME, *conditions: Condition) -> Decision:
        """Up to the next key frame, which is judged."""
        while self.unit() % GROUP:
            pass
        return self.judged(label, sameness, *conditions)

    def opened(self, sameness: Sameness = SAME) -> Feed:
        for _ in range(14):
            if self.group(STREET, sameness).is_open:
                return self
        raise AssertionError(self.last)


def masked(feed: Feed, reason: Reason) -> None:
    assert (feed.last.is_open, feed.last.lease_until_s, feed.last.release) == (False, None, None)
    assert feed.last.reason is reason


def test_gate_when_new_then_is_masked_and_opens_by_its_rule_alone() -> None:
    feed = Feed()
    feed.unit()
    masked(feed, Reason.STARTING)
    feed.judged()
    masked(feed, Reason.STARTING)
    assert feed.group().is_open
    assert feed.released == []
    feed.group()
    assert feed.released == list(range(10, 21)), "from the key frame that opened to the last judged one"


@pytest.mark.parametrize(("sameness", "n_groups"), [(SAME, 2), (UNSEEN, 4), (MOVED, 11)])
def test_gate_when_view_is_less_sure_then_opens_later(sameness: Sameness, n_groups: int) -> None:
    feed = Feed()
    states = [feed.group(STREET, sameness).is_open for _ in range(n_groups)]
    assert states == [False] * (n_groups - 1) + [True]


def test_gate_when_indoor_then_masks_at_once_and_asks_for_more_than_the_lenient_rule() -> None:
    feed = Feed().opened()
    feed.group(INDOOR)
    masked(feed, Reason.INDOOR)
    assert max(feed.released, default=0) < feed.seq - GROUP + 1
    assert [feed.group().is_open for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize("fault", Fault)
def test_gate_when_a_fault_then_masks_at_once_by_its_name(fault: Fault) -> None:
    feed = Feed().opened()
    feed.give(fault)
    masked(feed, Reason(fault.value))


def test_gate_when_the_size_changed_then_a_view_not_seen_the_same_owes_the_strict_proof() -> None:
    feed = Feed().opened(UNSEEN)
    feed.give(Fault.NEW_SIZE)
    assert not any(feed.group(STREET, UNSEEN).is_open for _ in range(10))
    assert feed.group(STREET, UNSEEN).is_open


@pytest.mark.parametrize("flaw", [*Flaw, None])
def test_gate_when_a_unit_breaks_the_bracket_then_its_group_never_leaves_but_the_next_does(
    flaw: Flaw | None,
) -> None:
    feed = Feed().opened()
    feed.group()
    left, broken = list(feed.released), feed.seq + 3
    feed.unit()
    feed.unit()
    if flaw is None:
        feed.seq += 1
    feed.unit(flaw=flaw)
    assert (feed.last.is_open, feed.last.state) == (True, State.HOLDING)
    feed.group()
    assert feed.released == left
    feed.group()
    assert feed.released == left + list(range(feed.seq - GROUP, feed.seq + 1))
    assert broken not in feed.released


def test_gate_when_a_whole_group_is_missing_then_the_next_begins_anew() -> None:
    feed = Feed().opened()
    feed.group()
    left = list(feed.released)
    feed.seq += GROUP - 1
    feed.group()
    feed.group()
    assert feed.released == left + list(range(feed.seq - GROUP, feed.seq + 1))


def test_gate_when_a_change_is_suspected_then_holds_the_group_until_all_of_it_is_judged() -> None:
    feed = Feed().opened()
    feed.group()
    key, left = feed.seq, list(feed.released)
    for n in range(1, GROUP):
        feed.unit(suspect=n == 5)
    assert feed.last.judge_from == key
    for seq in range(key + 1, key + 9):
        feed.judged(seq=seq)
    feed.unit()
    feed.judged()
    assert feed.released == left, "one unit of the group is not judged yet"
    feed.judged(seq=key + 9)
    assert feed.released == [*left, *range(key + 1, key + 11)]
    assert feed.last.judge_from is None


def test_gate_when_a_suspected_group_was_judged_as_it_came_then_leaves_once_it_is_whole() -> None:
    feed = Feed().opened()
    feed.group()
    key = feed.seq
    for _ in range(1, GROUP):
        feed.unit(suspect=True)
        feed.judged()
    assert key + 1 not in feed.released
    feed.unit()
    assert feed.released[-1] == key + 9


def test_gate_when_a_suspected_group_holds_a_room_then_none_of_it_leaves() -> None:
    feed = Feed().opened()
    feed.group()
    key = feed.seq
    for n in range(1, GROUP):
        feed.unit(suspect=n == 5)
    feed.unit()
    feed.judged()
    for seq in range(key + 1, key + 6):
        feed.judged(INDOOR if seq == key + 5 else STREET, seq=seq)
    masked(feed, Reason.INDOOR)
    assert max(feed.released) == key


def test_gate_when_a_suspected_group_waits_then_what_came_before_it_leaves() -> None:
    feed = Feed().opened()
    for _ in range(2):
        while feed.unit() % GROUP != GROUP - 1:
            pass
        feed.unit()  # a key frame, not judged yet
    first = feed.seq - GROUP
    feed.judged(seq=first)
    while feed.unit(suspect=True) % GROUP != GROUP - 1:
        pass
    feed.judged(seq=first + GROUP)
    assert feed.released[-1] == first + GROUP - 1
    feed.unit()
    feed.judged()
    assert feed.released[-1] == first + GROUP - 1


def test_gate_when_the_key_frame_of_a_suspected_group_is_not_judged_then_nothing_reaches_it() -> None:
    feed = Feed().opened()
    feed.group()
    key = feed.seq
    while feed.unit() % GROUP:
        pass
    feed.unit(suspect=True)
    feed.judged(seq=key + 5)
    assert feed.released[-1] == key + 5


def test_gate_when_a_key_frame_is_not_judged_then_nothing_passes_it() -> None:
    feed = Feed().opened()
    feed.group()
    while feed.unit() % GROUP:
        pass
    left = list(feed.released)
    feed.group()
    assert feed.released == left
    feed.judged(seq=feed.seq - GROUP)
    feed.group()
    assert feed.released == list(range(left[0], feed.seq + 1))


@pytest.mark.parametrize("condition", [Condition.DARK, Condition.FROZEN])
def test_gate_when_one_frame_is_unfit_and_the_view_is_proven_then_holds_without_masking(
    condition: Condition,
) -> None:
    feed = Feed().opened()
    feed.group()
    left = list(feed.released)
    feed.group(STREET if condition is Condition.FROZEN else UNKNOWN, UNSEEN, condition)
    assert (feed.last.state, feed.last.release) == (State.HOLDING, None)
    assert feed.last.judge_from == feed.seq + 1
    feed.group()
    feed.group()
    assert feed.last.state is State.OPEN
    assert feed.released == left + list(range(feed.seq - GROUP, feed.seq + 1)), "never the unfit ones"


@pytest.mark.parametrize(("hold_s", "reason"), [(1.5, Reason.UNDECIDED), (60.0, Reason.LEASE)])
def test_gate_when_doubt_lasts_then_masks(hold_s: float, reason: Reason) -> None:
    feed = Feed(replace(POLICY, hold_s=hold_s)).opened()
    for _ in range(4):
        feed.group(UNKNOWN, UNSEEN, Condition.DARK)
        if not feed.last.is_open:
            break
    assert not feed.last.is_open
    assert feed.gate._flaps if reason is Reason.UNDECIDED else not feed.gate._flaps


@pytest.mark.parametrize(("sameness", "reason"), [(UNSEEN, Reason.UNDECIDED), (MOVED, Reason.MOVED)])
def test_gate_when_in_doubt_without_a_proven_view_then_masks_at_once(
    sameness: Sameness, reason: Reason
) -> None:
    feed = Feed().opened(sameness)
    feed.group(UNKNOWN, sameness)
    masked(feed, reason)


def test_gate_when_the_view_moved_once_then_delays_only_and_when_it_stays_moved_masks() -> None:
    feed = Feed().opened()
    feed.group()
    feed.group(STREET, MOVED)
    assert feed.last.state is State.HOLDING
    feed.group()
    assert feed.released == list(range(feed.released[0], feed.seq + 1))
    for _ in range(7):
        feed.group(STREET, MOVED)
    masked(feed, Reason.MOVED)


def test_gate_when_opened_in_a_moved_view_then_goes_on_without_holding() -> None:
    feed = Feed().opened(MOVED)
    feed.group(STREET, MOVED)
    assert feed.last.release is not None


def test_gate_when_nobody_judges_then_the_lease_ends_by_itself() -> None:
    feed = Feed().opened()
    until_s = feed.last.lease_until_s
    assert until_s is not None
    feed.now_s = until_s - 0.001
    assert feed.give(Tick()).is_open
    feed.now_s = until_s
    feed.give(Tick())
    masked(feed, Reason.LEASE)


def test_gate_when_groups_never_end_well_then_late_masks() -> None:
    feed = Feed(replace(POLICY, hold_s=1.0)).opened()
    for _ in range(11):
        feed.unit()
    masked(feed, Reason.LATE)


def test_gate_when_too_much_is_held_then_masks() -> None:
    feed = Feed(replace(POLICY, lease_s=30.0, hold_s=60.0)).opened()
    for _ in range(MAX_HELD):
        feed.seq += 1
        feed.give(Unit(feed.seq))
    masked(feed, Reason.LATE)


@pytest.mark.parametrize("gap_s", [-0.001, MAX_GAP_S + 0.001])
def test_gate_when_the_clock_jumps_then_masks_and_keeps_what_masks(gap_s: float) -> None:
    feed = Feed().opened()
    feed.give(Trust("Ani", "market hall", feed.now_s + 60))
    feed.now_s += gap_s
    feed.give(Tick())
    masked(feed, Reason.CLOCK_JUMPED)
    feed.give(Force("Ani", "works", feed.now_s + 1))
    feed.now_s += gap_s
    feed.give(Tick())
    masked(feed, Reason.FORCED)


def test_gate_when_forced_then_nothing_opens_it_before_the_end_and_then_it_must_prove_itself() -> None:
    feed = Feed().opened()
    feed.give(Force("Ani", "works", feed.now_s + 5.05))
    masked(feed, Reason.FORCED)
    assert not any(feed.group().is_open for _ in range(5))
    feed.unit()
    masked(feed, Reason.STARTING)
    feed.opened()
    feed.give(Force("Ani", "works", feed.now_s + 5))
    feed.give(Fault.DISK_FULL)
    masked(feed, Reason.FORCED)
    feed.give(Lift("Ani", "done"))
    masked(feed, Reason.DISK_FULL)
    feed.opened()


def test_gate_when_trusted_then_doubt_counts_as_street_until_it_expires() -> None:
    feed = Feed()
    feed.give(Trust("Ani", "covered market", feed.now_s + 10))
    for _ in range(6):
        feed.group(UNKNOWN, UNSEEN)
    assert feed.last.release is not None
    for _ in range(6):
        feed.group(UNKNOWN, UNSEEN)
    masked(feed, Reason.UNDECIDED)


@pytest.mark.parametrize(
    ("label", "sameness", "condition", "is_open"),
    [
        (INDOOR, SAME, None, True),
        (INDOOR, UNSEEN, None, False),
        (INDOOR, SAME, Condition.FROZEN, False),
        (UNKNOWN, MOVED, None, False),
    ],
)
def test_gate_when_trusted_then_it_covers_the_view_that_was_vouched_for_alone(
    label: Label, sameness: Sameness, condition: Condition | None, is_open: bool
) -> None:
    feed = Feed().opened()
    feed.give(Trust("Ani", "covered market", feed.now_s + 60))
    assert feed.group(label, sameness, *([condition] if condition else [])).is_open is is_open


def test_gate_when_the_source_came_back_then_trust_asks_for_the_same_view() -> None:
    feed = Feed()
    feed.give(Trust("Ani", "covered market", feed.now_s + 60))
    feed.give(Fault.SOURCE_LOST)
    assert not any(feed.group(UNKNOWN, UNSEEN).is_open for _ in range(5))
    assert any(feed.group(UNKNOWN, SAME).is_open for _ in range(5))


@pytest.mark.parametrize(
    "override",
    [
        Force(" ", "why", 200.0),
        Force("who", "", 200.0),
        Force("who", "why", 99.9),
        Trust("who", "why", 100.0 + MAX_TRUST_S),
    ],
)
def test_gate_when_an_override_is_not_bounded_then_refuses_it(override: Force | Trust) -> None:
    feed = Feed()
    with pytest.raises(ValueError, match="override"):
        feed.give(override)


def test_gate_when_it_flaps_then_stays_masked_until_a_person_releases_it() -> None:
    feed = Feed(replace(POLICY, flaps=2))
    for _ in range(2):
        feed.opened().group(INDOOR)
    masked(feed, Reason.REVIEW)
    assert not any(feed.group().is_open for _ in range(6))
    feed.give(Fault.SOURCE_LOST)
    masked(feed, Reason.REVIEW)
    feed.give(Release("Ani", "looked at it"))
    masked(feed, Reason.STARTING)
    feed.opened()


def test_gate_when_maskings_are_far_apart_then_that_is_no_flapping() -> None:
    feed = Feed(replace(POLICY, flaps=2, flap_window_s=5.0))
    for _ in range(3):
        feed.opened().group(INDOOR)
        for _ in range(4):
            feed.group(INDOOR)
    masked(feed, Reason.INDOOR)


def test_gate_when_made_in_need_of_review_then_begins_so() -> None:
    feed = Feed(needs_review=True)
    assert not any(feed.group().is_open for _ in range(6))
    masked(feed, Reason.REVIEW)


def test_gate_when_events_are_repeated_or_come_late_then_nothing_gets_better() -> None:
    feed = Feed()
    feed.unit()
    for _ in range(50):
        feed.now_s += 0.1
        feed.give(Unit(feed.seq, True))
        feed.judged()
    masked(feed, Reason.STARTING)
    feed.opened().group()
    until_s = feed.last.lease_until_s
    for seq in (0, feed.seq, feed.seq + 5):
        assert feed.judged(seq=seq).lease_until_s == until_s
    feed.judged(INDOOR, seq=0)
    masked(feed, Reason.INDOOR)


def test_gate_when_a_suspected_unit_is_judged_twice_while_masked_then_counts_once() -> None:
    feed = Feed()
    feed.unit(suspect=True)
    feed.judged()
    feed.now_s += 2
    assert feed.judged().state is State.PROVING
    assert not feed.judged().is_open


def test_gate_when_street_samples_lie_too_far_apart_then_the_first_counts_no_more() -> None:
    feed = Feed()
    for _ in range(3):
        while feed.unit() % (6 * GROUP):
            pass
        feed.judged()
        masked(feed, Reason.STARTING)


def test_gate_when_the_proof_comes_later_than_its_lease_then_stays_masked() -> None:
    feed = Feed()
    feed.group()
    feed.unit()
    while feed.seq % GROUP:
        feed.unit()
    feed.now_s += POLICY.lease_s
    feed.judged()
    assert not feed.last.is_open


def test_gate_when_the_rule_gets_stricter_on_the_way_then_that_one_counts() -> None:
    feed = Feed()
    feed.group(STREET, UNSEEN)
    assert [feed.group(STREET, SAME).is_open for _ in range(3)] == [False, False, True]
    feed = Feed()
    feed.group(STREET, SAME)
    assert [feed.group(STREET, UNSEEN).is_open for _ in range(3)] == [False, False, True]
    feed = Feed()
    feed.group(UNKNOWN, SAME)
    feed.group(STREET, SAME)
    feed.unit(flaw=Flaw.LATE)
    assert [feed.group().is_open for _ in range(2)] == [False, True]


def test_gate_when_frames_within_groups_are_judged_too_then_they_prove_but_outputs_begin_at_a_key() -> None:
    feed = Feed()
    feed.group()
    while feed.unit() % GROUP != GROUP - 1:
        assert not feed.judged().is_open
    feed.now_s += 0.5
    assert not feed.judged().is_open
    assert feed.group().is_open
    feed.unit(flaw=Flaw.DAMAGED)
    feed.unit()
    feed.judged()
    assert (feed.last.state, feed.last.release) == (State.OPEN, None)


@pytest.mark.parametrize(
    "values",
    [
        {"lease_s": 0},
        {"lease_s": 31},
        {"hold_s": 0},
        {"hold_s": 61},
        {"flaps": 0},
        {"same": Rule(0, 0)},
        {"same": Rule(4, 1)},
        {"unseen": Rule(3, 11)},
    ],
)
def test_policy_when_it_makes_no_sense_then_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="policy"):
        replace(POLICY, **values)  # type: ignore[arg-type]


def test_transitions_when_read_then_only_proof_opens_and_only_a_person_ends_a_review() -> None:
    shown = {State.OPEN, State.HOLDING}
    into = {(a, s) for (a, s), b in TRANSITIONS.items() if b in shown and a not in shown}
    assert into == {(State.PROVING, Signal.PROVEN)}
    assert {s for a, s in TRANSITIONS if a is State.REVIEW} == {Signal.RELEASED}
    assert all(TRANSITIONS[a, Signal.CLOSED] is State.MASKED for a in (*shown, State.PROVING))
    assert {r.value for r in Reason} >= {f.value for f in Fault}


def test_transitions_when_drawn_then_the_page_shows_exactly_them() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "gate.md").read_text("utf-8")
    drawn = re.findall(r"^    ([a-z]+) --> ([a-z]+): ([a-z]+)$", page, re.MULTILINE)
    assert drawn == [(a.value, b.value, signal.value) for (a, signal), b in TRANSITIONS.items()]


THRESHOLDS = Thresholds(0.2, 0.8)


def comparison(same: bool, witness: str = "structure") -> Comparison:
    return Comparison(same, 0.99 if same else 0.01, None, None, None, None, witness)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p", "compared", "label", "sameness"),
    [
        (0.1, None, STREET, UNSEEN),
        (0.5, None, UNKNOWN, UNSEEN),
        (0.1, comparison(False, "none"), STREET, UNSEEN),
        (0.5, comparison(True), STREET, SAME),
        (0.1, comparison(False), UNKNOWN, MOVED),
        (0.01, comparison(False), STREET, MOVED),
        (0.99, comparison(False), INDOOR, MOVED),
    ],
)
def test_sample_when_judged_alone_then_the_second_witness_counts(
    p: float, compared: Comparison | None, label: Label, sameness: Sameness
) -> None:
    found = sample(3, Sighting(0.0, p), compared, thresholds=THRESHOLDS)
    assert (found.seq, found.label, found.sameness) == (3, label, sameness)


class Promises(RuleBasedStateMachine):
    """Any events in any order, held against a plain record of what came."""

    @initialize(review=st.booleans())
    def begin(self, review: bool) -> None:
        self.now_s, self.seq = 0.0, -1
        self.policy = Policy(
            lease_s=1.0, hold_s=2.0, same=Rule(1, 0), unseen=Rule(2, 0.2), moved=Rule(3, 0.4), flaps=4
        )
        self.gate = Gate(self.policy, now_s=0.0, needs_review=review)
        self.units: dict[int, Unit] = {}
        self.labels: dict[int, set[Label]] = {}
        self.arrived: dict[int, float] = {}
        self.group_of: dict[int, int] = {}
        self.suspects: set[int] = set()
        self.barrier = -1  # nothing up to here may leave any more
        self.out = -1
        self.streets_since_indoor = 99
        self.is_review = review
        self.forced_until_s = -1.0
        self.last: Decision | None = None

    def step(self, event: Event, dt_s: float = 0.0) -> None:
        was_open = self.last is not None and self.last.is_open
        self.now_s += dt_s
        self.last = self.gate.step(event, now_s=self.now_s)
        assert not (self.last.is_open and self.is_review)
        if self.last.is_open and not was_open:
            assert self.streets_since_indoor >= 2
        self.is_review = self.last.state is State.REVIEW
        if was_open and not self.last.is_open:
            # Time passes before a unit is taken: one that comes as the lease ends is already of what follows.
            self.barrier = max(self.barrier, self.seq - isinstance(event, Unit))
        if self.last.release is not None:
            self.check(*self.last.release)

    def check(self, first: int, last: int) -> None:
        assert self.last is not None
        assert self.last.is_open
        assert self.out < first <= last <= self.last.settled
        assert first > self.barrier
        is_key = self.units[first].starts_group
        assert first == self.out + 1 or is_key, "an output may begin at a key frame only"
        streets = [s for s, found in self.labels.items() if found == {STREET}]
        assert any(
            s <= first and (s >= self.out or s == first)
            for s in [*streets, *([self.out] * (first == self.out + 1))]
        )
        assert any(s >= last for s in streets)
        for seq in range(first, last + 1):
            unit = self.units[seq]
            assert unit.flaw is None
            assert self.labels.get(seq, {STREET}) == {STREET}
            assert seq in self.labels or not unit.starts_group
            if self.group_of[seq] in self.suspects and seq != self.group_of[seq]:
                assert self.labels.get(seq) == {STREET}, "a suspected group is judged frame by frame"
                assert any(g > self.group_of[seq] for g in self.group_of.values()), "and whole"
        self.out = last

    def add(self, unit: Unit) -> None:
        if unit.seq not in self.units and unit.seq > self.seq:
            if unit.seq != self.seq + 1 and self.seq >= 0:
                self.barrier = unit.seq - 1
            self.seq = unit.seq
            self.units[unit.seq], self.arrived[unit.seq] = unit, self.now_s
            self.group_of[unit.seq] = unit.seq if unit.starts_group else self.group_of.get(unit.seq - 1, -1)
            if unit.is_suspect:
                self.suspects.add(self.group_of[unit.seq])

    @rule(n=st.integers(1, 3), judge=st.booleans(), sameness=st.sampled_from(Sameness))
    def plain_groups(self, n: int, judge: bool, sameness: Sameness) -> None:
        for at in range(n * 3):
            self.unit(at % 3 == 0, False, None, 1)
            if judge or at % 3 == 0:
                self.judged(0, STREET, sameness)

    @rule(
        key=st.booleans(),
        suspect=st.booleans(),
        flaw=st.sampled_from([None, None, None, *Flaw]),
        step=st.sampled_from([1, 1, 1, 1, 2, 0, -3]),
    )
    def unit(self, key: bool, suspect: bool, flaw: Flaw | None, step: int) -> None:
        unit = Unit(self.seq + step, key, suspect, flaw)
        self.now_s += 0.1
        self.add(unit)
        self.step(unit)

    @rule(
        back=st.integers(-1, 6),
        label=st.sampled_from([STREET, STREET, *Label]),
        sameness=st.sampled_from(Sameness),
    )
    def judged(self, back: int, label: Label, sameness: Sameness) -> None:
        seq = self.seq - back
        if label is INDOOR:
            self.streets_since_indoor = 0
        elif label is UNKNOWN:
            self.streets_since_indoor = min(self.streets_since_indoor, 99)
        elif seq in self.units:
            self.streets_since_indoor += 1
        if label is not STREET or seq in self.units:
            self.labels.setdefault(seq, set()).add(label)
        self.step(Sample(seq, label, sameness))
        if label is INDOOR:
            assert self.last is not None
            assert not self.last.is_open
            self.barrier = max(self.barrier, self.seq)

    @rule(fault=st.sampled_from(Fault))
    def fault(self, fault: Fault) -> None:
        self.step(fault)
        assert self.last is not None
        assert not self.last.is_open
        self.barrier = max(self.barrier, self.seq)

    @rule(dt_s=st.sampled_from([0.0, 0.5, 1.0, 4.0, 6.0, -1.0]))
    def time(self, dt_s: float) -> None:
        if not 0 <= dt_s <= MAX_GAP_S:
            self.forced_until_s += dt_s
        self.step(Tick(), dt_s)
        if not 0 <= dt_s <= MAX_GAP_S:
            assert self.last is not None
            assert not self.last.is_open

    @rule(for_s=st.sampled_from([0.3, 2.0]))
    def force(self, for_s: float) -> None:
        self.forced_until_s = self.now_s + for_s
        self.step(Force("Ani", "works", self.forced_until_s))

    @rule()
    def lift(self) -> None:
        self.forced_until_s = self.now_s - 1
        self.step(Lift("Ani", "done"))

    @rule()
    def release(self) -> None:
        self.is_review = False
        self.step(Release("Ani", "seen"))

    @invariant()
    def lease_and_force_hold(self) -> None:
        if self.last is None or not self.last.is_open:
            return
        assert self.forced_until_s <= self.now_s
        until_s = self.last.lease_until_s
        fresh = [self.arrived[s] for s, found in self.labels.items() if STREET in found and s in self.arrived]
        assert until_s is not None
        assert self.now_s < until_s <= max(fresh) + self.policy.lease_s


Promises.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPromises = Promises.TestCase
