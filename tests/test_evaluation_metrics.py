"""The figures against arithmetic done another way: pair by pair, draw by draw, and by published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.evaluation import metrics


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and labels of which both are there."""
    n = draw(st.integers(2, 40))
    p = np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)), np.float64) / 6
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.int64)
    y[0], y[1] = 0, 1
    return p, y


@given(scored())
def test_auroc_when_scores_tie_then_is_the_share_of_pairs_in_order(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    p, y = data
    pairs = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    assert metrics.auroc(p, y) == pytest.approx(float(np.mean(pairs)))


@given(scored(), st.sampled_from([0.0, 0.005, 0.01, 0.3, 1.0]))
def test_recall_at_fpr_when_scores_tie_then_no_threshold_flags_more_and_catches_more(
    data: tuple[np.ndarray, np.ndarray], fpr: float
) -> None:
    p, y = data
    found = metrics.recall_at_fpr(p, y, fpr)
    allowed = [t for t in [*p, -1.0] if (p[y == 0] > t).sum() <= np.floor(fpr * (y == 0).sum())]
    assert found == pytest.approx(max((p[y == 1] > t).mean() for t in allowed))


@given(scored(), st.data())
def test_ranking_when_frames_have_weights_then_is_as_if_they_were_repeated(
    data: tuple[np.ndarray, np.ndarray], draw: st.DataObject
) -> None:
    p, y = data
    w = np.array(draw.draw(st.lists(st.integers(0, 3), min_size=len(p), max_size=len(p))))
    w[:2] += 1
    ranking, again = metrics.Ranking(p, y), (np.repeat(p, w), np.repeat(y, w))
    assert ranking.auroc(w) == pytest.approx(metrics.auroc(*again))
    assert ranking.recall_at_fpr(0.1, w) == pytest.approx(metrics.recall_at_fpr(*again, 0.1))
    assert metrics.ece(p, y, w) == pytest.approx(metrics.ece(*again))


@given(scored())
def test_roc_when_read_at_its_thresholds_then_holds_what_it_says(data: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = data
    points = metrics.Ranking(p, y).roc(0.5)
    assert [x.fpr for x in points] == sorted({x.fpr for x in points})
    for fpr, recall, threshold in points:
        assert fpr == pytest.approx((p[y == 0] > threshold).mean(), abs=1e-6)
        assert recall == pytest.approx((p[y == 1] > threshold).mean(), abs=1e-6)


@pytest.mark.parametrize("y", [np.zeros(3, np.int64), np.ones(3, np.int64), np.zeros(0, np.int64)])
def test_ranking_when_a_label_is_missing_then_refuses(y: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected street and indoor frames"):
        metrics.Ranking(np.zeros(len(y)), y)


@pytest.mark.parametrize(("k", "n", "percent"), [(0, 60, 4.87), (0, 42, 6.88), (1, 60, 7.66), (5, 5, 100.0)])
def test_at_most_when_little_was_seen_then_says_what_that_proves(k: int, n: int, percent: float) -> None:
    assert 100 * metrics.at_most(k, n) == pytest.approx(percent, abs=0.01)


def test_mcnemar_when_six_turned_wrong_and_none_right_then_is_one_in_64() -> None:
    assert metrics.mcnemar(6, 0) == pytest.approx(1 / 64)
    assert metrics.mcnemar(0, 6) == 1.0
    assert metrics.mcnemar(0, 0) == 1.0


def test_group_draws_when_drawn_then_frames_of_a_group_come_together_and_both_labels_are_there() -> None:
    y = np.array([0, 0, 0, 1, 1, 0])
    groups = np.array(["a", "a", "a", "b", "b", "c"])
    draws = list(metrics.group_draws(y, groups))
    assert 300 < len(draws) < 400  # 8 of 27 draws of three groups lack the only one with rooms
    for w in draws:
        assert w[0] == w[1] == w[2]
        assert w[3] == w[4] > 0
        assert w[[0, 3, 5]].sum() == 3
    again = list(metrics.group_draws(y, groups))
    assert all((a == b).all() for a, b in zip(draws, again, strict=True))


def test_paired_bootstrap_when_one_group_in_fifty_is_lost_then_no_draw_says_it_got_better() -> None:
    y = np.repeat([0, 1], 100)
    groups = np.array([f"camera-{i // 2}" for i in range(200)])
    old = np.where(y == 1, 0.9, 0.1) + np.linspace(0, 0.05, 200)
    new = old.copy()
    new[100:102] = 0.0
    drawn = metrics.paired_bootstrap(metrics.Ranking(old, y), metrics.Ranking(new, y), y, groups, 0.01)
    assert drawn.max() == 0
    assert -0.2 < drawn.min() < -0.05
    assert 0.3 < (drawn == 0).mean() < 0.45  # the draws without that group: (49/50)**50
    assert drawn.mean() == pytest.approx(-0.02, abs=0.003)
