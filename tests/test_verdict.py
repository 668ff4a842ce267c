"""Verdicts: what several frames prove, and what they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.types import Condition, Label, Sighting, Thresholds
from scenecheck.verdict import combine, judge

CARD = Thresholds(street_below=0.2, indoor_above=0.8)
PROBABILITY = st.floats(0, 1)
SIGHTING = st.builds(
    Sighting,
    at_s=st.floats(0, 60),
    p_indoor=PROBABILITY,
    conditions=st.frozensets(st.sampled_from(Condition), max_size=2),
)


def sightings(*p_indoor: float) -> list[Sighting]:
    return [Sighting(float(i), p) for i, p in enumerate(p_indoor)]


@pytest.mark.parametrize(
    ("p_indoor", "label", "is_certain"),
    [
        ([], Label.UNKNOWN, False),
        ([0.01], Label.STREET, False),
        ([0.01, 0.02], Label.STREET, True),
        ([0.99], Label.INDOOR, False),
        ([0.99, 0.97], Label.INDOOR, True),
        ([0.5, 0.5], Label.UNKNOWN, False),
        ([0.01, 0.01, 0.01, 0.9], Label.UNKNOWN, False),  # combined odds say street, one frame a room
        ([0.01, 0.3, 0.01], Label.STREET, False),
        ([0.99, 0.5, 0.99], Label.INDOOR, False),
    ],
)
def test_judge_by_probabilities(p_indoor: list[float], label: Label, is_certain: bool) -> None:
    verdict = judge(sightings(*p_indoor), CARD)
    assert (verdict.label, verdict.is_certain) == (label, is_certain)


def test_judge_when_most_frames_are_unfit_then_street_is_not_proven_but_indoor_stands() -> None:
    frozen = frozenset({Condition.FROZEN})
    street = [Sighting(0.0, 0.01), Sighting(1.0, 0.01, frozen)]
    assert judge(street, CARD).label is Label.UNKNOWN
    assert "1 frozen" in judge(street, CARD).reason
    assert judge([*street, Sighting(2.0, 0.01)], CARD).label is Label.STREET
    assert judge([Sighting(0.0, 0.99), Sighting(1.0, 0.99, frozen)], CARD).label is Label.INDOOR


def test_judge_when_no_frame_is_fit_then_the_reason_counts_the_conditions() -> None:
    dark = [Sighting(float(i), 0.0, frozenset({Condition.DARK})) for i in range(3)]
    verdict = judge(dark, CARD)
    assert (verdict.label, verdict.p_indoor) == (Label.UNKNOWN, None)
    assert verdict.reason == "none of 3 frames is fit to judge (3 dark)"


@given(st.lists(SIGHTING, max_size=8))
def test_street_is_only_ever_said_with_proof(seen: list[Sighting]) -> None:
    verdict = judge(seen, CARD)
    fit = [s.p_indoor for s in seen if not s.conditions]
    if verdict.label is Label.STREET:
        assert fit
        assert max(fit) < CARD.indoor_above
        assert combine(fit) <= CARD.street_below
        assert len(fit) * 2 > len(seen)
    if verdict.is_certain:
        assert verdict.label is not Label.UNKNOWN
        assert len(fit) == len(seen) >= 2


@given(st.lists(PROBABILITY, min_size=1, max_size=8), st.randoms())
def test_judge_does_not_depend_on_the_order_of_frames(p_indoor: list[float], random: object) -> None:
    shuffled = list(p_indoor)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = judge(sightings(*p_indoor), CARD), judge(sightings(*shuffled), CARD)
    assert (a.label, a.is_certain, a.reason) == (b.label, b.is_certain, b.reason)


@given(st.lists(PROBABILITY, min_size=1, max_size=8))
def test_an_agreeing_frame_more_never_makes_a_certain_verdict_another(p_indoor: list[float]) -> None:
    verdict = judge(sightings(*p_indoor), CARD)
    if verdict.is_certain:
        edge = CARD.street_below if verdict.label is Label.STREET else CARD.indoor_above
        assert judge(sightings(*p_indoor, edge), CARD).label is verdict.label


@given(st.lists(PROBABILITY, min_size=1, max_size=8))
def test_combine_lies_between_its_inputs(p_indoor: list[float]) -> None:
    assert min(max(min(p_indoor), 1e-4), 1 - 1e-4) - 1e-9 <= combine(p_indoor)
    assert combine(p_indoor) <= max(min(max(p_indoor), 1 - 1e-4), 1e-4) + 1e-9


def test_combine_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="got none"):
        combine([])


@pytest.mark.parametrize(("street", "indoor"), [(0.8, 0.2), (0.5, 0.5), (0.0, 0.8), (0.2, 1.0)])
def test_thresholds_out_of_order_are_refused(street: float, indoor: float) -> None:
    with pytest.raises(ValueError, match="street_below < indoor_above"):
        Thresholds(street, indoor)
