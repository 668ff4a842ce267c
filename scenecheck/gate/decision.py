"""Whether a feed may be published, and up to which frame: no I/O, no clock, values in and values out.

All that affects the decision lives here. `TRANSITIONS` says which signal leads from which state to which;
the rest turns events into signals and finds the frames that have their bracket: judged street before and
after, and nothing in between that is damaged, missing, late, suspected or unjudged.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice

from scenecheck.gate.values import (
    TRANSITIONS,
    Decision,
    Event,
    Fault,
    Force,
    Lift,
    Policy,
    Reason,
    Release,
    Sameness,
    Sample,
    Signal,
    State,
    Tick,
    Trust,
    Unit,
)
from scenecheck.types import Condition, Label

MAX_HELD = 3000
"""Units held back at most: 50 s at 60 a second, more than any hold lasts; beyond it the source is hostile."""
MAX_GAP_S = 5.0
"""Between two events: a longer gap is a clock that jumped or a gate that stood still, both past the lease."""
MAX_TRUST_S = 86400.0
"""Longest that a person may vouch for a feed in one go: who means longer should look again."""
_NOT_LIVE = frozenset({Condition.FROZEN, Condition.STALE, Condition.DAMAGED})
_CHANGED = frozenset({Fault.NEW_SIZE, Fault.NEW_CODEC})  # may be another camera under the right name
_RECONNECTED = frozenset({Fault.SOURCE_LOST, Fault.WORKER_RESTARTED, Fault.RELOADED})
_FLAPS = frozenset({Reason.INDOOR, Reason.UNDECIDED, Reason.MOVED, Reason.NEW_SIZE, Reason.NEW_CODEC})


@dataclass(slots=True)
class _Held:
    unit: Unit
    arrived_s: float
    group: int
    label: Label | None = None


class Gate:
    """The decision on one feed. Masked from the first moment; a new process begins with a new one."""

    def __init__(self, policy: Policy, *, now_s: float, needs_review: bool = False) -> None:
        self._policy = policy
        self._state = State.REVIEW if needs_review else State.MASKED
        self._reason = Reason.REVIEW if needs_review else Reason.STARTING
        self._since_s = self._now_s = self._progress_s = now_s
        self._lease_until_s = now_s
        self._held: deque[_Held] = deque()
        self._last_seq = self._settled = -1
        self._last_judged = -1
        self._group = -1
        self._suspects: set[int] = set()  # groups, by the number of their first unit
        self._anchor: int | None = None  # last street sample from which frames may follow
        self._is_anchor_out = False
        self._release: tuple[int, int] | None = None
        self._streak: list[float] = []
        self._streak_rule = policy.same
        self._sameness = Sameness.UNSEEN
        self._owes_strict = self._was_indoor = self._is_move_proven = False
        self._flaps: deque[float] = deque()
        self._force: Force | None = None
        self._trust: Trust | None = None
        self._is_vouched = False

    def step(self, event: Event, *, now_s: float) -> Decision:
        """Take one event at the monotonic time ``now_s`` and say what holds. Raises ValueError for an
        override that is not bounded, after which nothing has changed."""
        if isinstance(event, Trust | Force):
            self._check(event, now_s)
        self._release = None
        self._pass_time(now_s)
        if isinstance(event, Unit):
            self._on_unit(event)
        elif isinstance(event, Sample):
            self._on_sample(event)
        elif isinstance(event, Fault):
            self._on_fault(event)
        elif not isinstance(event, Tick):
            self._on_person(event)
        return self._decision()

    # --- events ----------------------------------------------------------------------------------

    def _pass_time(self, now_s: float) -> None:
        gap_s = now_s - self._now_s
        self._now_s = now_s
        if not 0 <= gap_s <= MAX_GAP_S:
            if self._force is not None:  # what is left of it stays
                self._force = replace(self._force, until_s=self._force.until_s + gap_s)
            self._flaps = deque(at_s + gap_s for at_s in self._flaps)
            self._on_fault(Fault.CLOCK_JUMPED)
        if self._force is not None and now_s >= self._force.until_s:
            self._unforce()
        if self._trust is not None and now_s >= self._trust.until_s:
            self._trust = None
        if self._is_open and now_s >= self._lease_until_s:
            self._close(Reason.LEASE)
        elif self._is_open and now_s - self._progress_s > self._policy.hold_s:
            is_moved = self._state is State.HOLDING and self._sameness is Sameness.MOVED
            doubt = Reason.MOVED if is_moved else Reason.UNDECIDED
            self._close(doubt if self._state is State.HOLDING else Reason.LATE)

    def _on_unit(self, unit: Unit) -> None:
        if unit.seq <= self._last_seq:
            return  # repeated: the first one counts
        is_missing = self._last_seq >= 0 and unit.seq != self._last_seq + 1
        self._last_seq = unit.seq
        if unit.starts_group:
            self._group = unit.seq
        if is_missing or unit.flaw is not None:
            self._break(unit.seq if unit.flaw is not None or not unit.starts_group else unit.seq - 1)
        if unit.is_suspect:
            self._suspects.add(self._group)
        if unit.seq > self._settled:
            self._held.append(_Held(unit, self._now_s, self._group))
        if len(self._held) > MAX_HELD:
            self._close(Reason.LATE)
        elif unit.starts_group and self._suspects:
            self._advance()  # a suspected group may have been judged before it was known to be whole

    def _on_sample(self, found: Sample) -> None:
        held = self._find(found.seq)
        if found.sameness is Sameness.MOVED:
            self._trust = None
        label = self._believed(found)
        is_first = held is not None and held.label is None and found.seq > self._last_judged
        if found.seq <= self._last_seq:
            self._last_judged = max(self._last_judged, found.seq)
        if held is not None and (held.label is None or label is not Label.STREET):
            held.label = label
        if label is Label.INDOOR:
            self._was_indoor = True
        self._see(found.sameness)
        if label is not Label.STREET:
            self._on_doubt(found, label)
        elif held is not None and (is_first or held.group in self._suspects) and self._force is None:
            self._on_street(held, found.sameness, is_first=is_first)

    def _on_doubt(self, found: Sample, label: Label) -> None:
        if label is Label.INDOOR:
            self._close(Reason.INDOOR)
        elif found.sameness is Sameness.MOVED:
            self._close(Reason.MOVED)
        elif self._sameness is not Sameness.SAME:
            self._close(Reason.UNDECIDED)
        else:
            self._break(found.seq, Signal.DOUBT)

    def _on_street(self, held: _Held, sameness: Sameness, *, is_first: bool) -> None:
        if not self._is_open:
            if is_first:
                self._prove(held, sameness)
            return
        if is_first:
            self._lease_until_s = max(self._lease_until_s, held.arrived_s + self._policy.lease_s)
        if sameness is Sameness.MOVED and not self._is_move_proven:
            # Kept, not dropped: one wrong comparison costs delay only, a camera that turned proves itself.
            self._signal(Signal.DOUBT)
            return
        self._signal(Signal.STREET)
        if self._anchor is None and held.unit.starts_group:
            self._begin_at(held.unit.seq)
        self._advance()

    def _on_fault(self, fault: Fault) -> None:
        if fault in _CHANGED:
            self._owes_strict, self._trust = True, None
        elif fault is Fault.CLOCK_JUMPED:
            self._trust = None
        elif fault in _RECONNECTED:
            self._is_vouched = False
        if fault in _CHANGED or fault in _RECONNECTED:
            self._sameness = Sameness.UNSEEN
        self._close(Reason(fault.value))

    def _check(self, event: Force | Trust, now_s: float) -> None:
        longest_s = MAX_TRUST_S if isinstance(event, Trust) else float("inf")
        if not (event.who.strip() and event.why.strip()):
            raise ValueError("override: expected who and why")
        if not now_s < event.until_s <= now_s + longest_s:
            raise ValueError(f"override: expected an end within {longest_s:.0f} s from now")

    def _on_person(self, event: Force | Trust | Lift | Release) -> None:
        if isinstance(event, Force):
            self._force = event
            self._close(Reason.FORCED)
        elif isinstance(event, Trust):
            self._trust, self._is_vouched = event, True
        elif isinstance(event, Lift):
            self._trust = None
            self._unforce()
        else:
            self._flaps.clear()
            self._signal(Signal.RELEASED)

    def _unforce(self) -> None:
        self._force = None
        if self._reason is Reason.FORCED:
            self._reason = Reason.STARTING

    # --- what a sample proves --------------------------------------------------------------------

    def _believed(self, found: Sample) -> Label:
        """The label, unless a person vouches for the view; a picture that stands still proves nothing."""
        if found.conditions & _NOT_LIVE:
            return Label.INDOOR if found.label is Label.INDOOR else Label.UNKNOWN
        if self._trust is None:
            return found.label
        is_same = found.sameness is Sameness.SAME
        is_vouched = is_same or (self._is_vouched and found.label is not Label.INDOOR)
        return Label.STREET if is_vouched else found.label

    def _see(self, sameness: Sameness) -> None:
        if sameness is Sameness.SAME:
            self._owes_strict = self._is_move_proven = False
        elif sameness is Sameness.MOVED:
            self._owes_strict = True
        if sameness is not Sameness.UNSEEN:
            self._sameness = sameness

    def _prove(self, held: _Held, sameness: Sameness) -> None:
        policy = self._policy
        rule = policy.same if sameness is Sameness.SAME and not self._was_indoor else policy.unseen
        rule = policy.moved if self._owes_strict else rule
        if self._streak and held.arrived_s - self._streak[-1] > max(policy.lease_s, MAX_GAP_S):
            self._streak.clear()  # too far apart to vouch for what was between
        if not self._streak:
            self._streak_rule = rule
        self._streak.append(held.arrived_s)
        if rule.n > self._streak_rule.n or rule.over_s > self._streak_rule.over_s:
            self._streak_rule = rule
        self._signal(Signal.STREET)
        if self._state is not State.PROVING or not held.unit.starts_group:
            return
        is_span = held.arrived_s - self._streak[0] >= self._streak_rule.over_s
        lease_until_s = held.arrived_s + policy.lease_s
        if len(self._streak) >= self._streak_rule.n and is_span and self._now_s < lease_until_s:
            self._is_move_proven, self._was_indoor = self._owes_strict, False
            self._lease_until_s, self._progress_s = lease_until_s, self._now_s
            self._streak.clear()
            self._signal(Signal.PROVEN)
            self._begin_at(held.unit.seq)

    # --- the bracket -----------------------------------------------------------------------------

    def _find(self, seq: int) -> _Held | None:
        """The held unit; they are numbered without gaps, because a gap drops all before it."""
        at = seq - self._held[0].unit.seq if self._held else -1
        return self._held[at] if 0 <= at < len(self._held) else None

    def _forget(self, seq: int) -> None:
        self._settled = max(self._settled, seq)
        while self._held and self._held[0].unit.seq <= seq:
            self._held.popleft()
        first = self._held[0].group if self._held else self._group
        self._suspects = {g for g in self._suspects if g >= first} if self._suspects else self._suspects

    def _begin_at(self, seq: int) -> None:
        self._forget(seq - 1)
        self._anchor, self._is_anchor_out = seq, False

    def _advance(self) -> None:
        """Release up to the last street sample before which everything is clean."""
        if self._anchor is None or self._state is not State.OPEN:
            return
        last = self._anchor
        # Held begin with the anchor, or with what follows it once it is out.
        for held in islice(self._held, 0 if self._is_anchor_out else 1, None):
            is_suspect = held.group in self._suspects
            if is_suspect and (held.group == self._group or held.label is not Label.STREET):
                # Nothing of a suspected group before all of it: go back to what came before it.
                is_key = held.unit.starts_group and held.label is Label.STREET
                if is_key or last >= held.group:
                    last = max(self._anchor, held.group - 1)
                break
            if held.unit.starts_group and held.label is None:
                break
            if held.label is Label.STREET:
                last = held.unit.seq
        if last > self._anchor:
            first = self._anchor + 1 if self._is_anchor_out else self._anchor
            self._release = (first, last)
            self._anchor, self._is_anchor_out, self._progress_s = last, True, self._now_s
            self._forget(last)

    def _break(self, seq: int, signal: Signal = Signal.BROKEN) -> None:
        """Nothing up to ``seq`` leaves any more; what follows may, from the next judged start of a group."""
        self._anchor = None
        self._forget(seq)
        self._streak.clear()
        self._signal(signal)

    # --- the state -------------------------------------------------------------------------------

    @property
    def _is_open(self) -> bool:
        return self._state in {State.OPEN, State.HOLDING}

    def _close(self, reason: Reason) -> None:
        """Mask, and drop all that is held: what comes after must prove itself."""
        signal = Signal.CLOSED
        if self._is_open and reason in _FLAPS:
            self._flaps.append(self._now_s)
            while self._now_s - self._flaps[0] > self._policy.flap_window_s:
                self._flaps.popleft()
            signal = Signal.FLAPPING if len(self._flaps) >= self._policy.flaps else signal
        self._anchor = self._release = None
        self._streak.clear()
        self._forget(self._last_seq)
        self._is_move_proven = False
        self._signal(signal)
        if self._state is not State.REVIEW:
            self._reason = reason

    def _signal(self, signal: Signal) -> None:
        state = TRANSITIONS.get((self._state, signal), self._state)
        was_open = self._is_open
        if state is State.REVIEW and self._state is not State.REVIEW:
            self._reason = Reason.REVIEW
        elif signal is Signal.PROVEN:
            self._reason = Reason.STREET
        elif signal is Signal.RELEASED and state is not self._state:
            self._reason, self._since_s = Reason.STARTING, self._now_s
        self._state = state
        if self._is_open is not was_open:
            self._since_s = self._now_s

    def _decision(self) -> Decision:
        is_open = self._is_open
        judge_from = min(self._suspects, default=None)
        if judge_from is None and self._state is State.HOLDING:
            judge_from = self._last_seq + 1
        reason = Reason.FORCED if self._force is not None else self._reason
        return Decision(
            is_open=is_open,
            state=self._state,
            reason=reason,
            since_s=self._since_s,
            lease_until_s=self._lease_until_s if is_open else None,
            release=self._release,
            settled=self._settled,
            judge_from=judge_from,
        )
