"""What counts as worse: every rule broken and kept, on scores made up so that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecheck.errors import UsageError
from scenecheck.evaluation.baseline import baseline_of, flips, read_baseline, write_baseline
from scenecheck.evaluation.comparison import RULES, compare
from scenecheck.evaluation.policy import Policy, read_policy
from scenecheck.evaluation.results import Regression
from scenecheck.types import Label
from tests.evaluations import MODEL, SPEED, Row, evaluation

OTHER = MODEL.model_copy(update={"version": "2", "sha256": "c" * 64})
"""Another model, properly named: its scores may differ."""

N = 200


def cameras(changed: dict[str, float] | None = None) -> list[Row]:
    """N rooms and N streets of one still each, all called right but twelve streets that set the threshold at 0.6.

    ``changed`` are other scores, by group.
    """
    rows: list[Row] = [(f"room-{i}", Label.INDOOR, 0.95 + i / (25 * N)) for i in range(N)]
    rows += [(f"street-{i}", Label.STREET, 0.6 if i < 12 else 0.01 + i / (25 * N)) for i in range(N)]
    changed = changed or {}
    return [(group, label, changed.get(group, p)) for group, label, p in rows]


def rooms(n: int, p: float) -> dict[str, float]:
    return {f"room-{i}": p for i in range(n)}


def judged(changed: dict[str, float], policy: Policy | None = None) -> dict[str, Regression]:
    """The rules that another model with these scores breaks, by name."""
    before = baseline_of(evaluation(cameras()), reason="test")
    found = compare(evaluation(cameras(changed), model=OTHER), before, policy or Policy())
    assert all(r.sentence and "\n" not in r.sentence for r in found)
    return {r.what: r for r in found}


def test_compare_when_nothing_changed_then_nothing_is_worse() -> None:
    now = evaluation(cameras())
    assert compare(now, baseline_of(now, reason="test"), Policy()) == []


def test_recall_when_2_percent_are_lost_in_many_cameras_then_is_worse_and_says_so() -> None:
    found = judged(rooms(6, 0.5))
    assert {"recall_at_fpr 0.005", "recall_at_fpr 0.01"} <= found.keys()
    lost = found["recall_at_fpr 0.01"]
    assert (lost.old, lost.new) == (1.0, 0.97)
    assert lost.p_value is not None
    assert lost.p_value < 0.05
    assert lost.interval is not None
    assert lost.interval[0] < -0.03 < lost.interval[1] < 0
    assert "fell from 100.0% to 97.0%" in lost.sentence
    assert "missed" not in found  # they are unknown now, which is no miss


def test_recall_when_a_room_in_500_is_lost_then_may_be_chance() -> None:
    assert judged(rooms(1, 0.5)) == {}
    assert judged(rooms(1, 0.5), Policy(recall_drop=0.0)) == {}


def test_recall_when_much_is_lost_but_in_one_camera_then_may_be_chance() -> None:
    """Twenty frames of a single camera are one observation."""
    many = [(("room-0" if i < 20 else g), label, p) for i, (g, label, p) in enumerate(cameras())]
    lost = [(g, label, 0.5 if g == "room-0" else p) for g, label, p in many]
    before = baseline_of(evaluation(many), reason="test")
    assert compare(evaluation(lost, model=OTHER), before, Policy(ece_rise=1.0)) == []


def test_missed_when_one_room_is_called_street_then_is_worse_and_names_it_with_both_scores() -> None:
    found = judged({"room-7": 0.05})
    assert list(found) == ["missed"]
    assert found["missed"].names == ["room-7"]
    assert (found["missed"].old, found["missed"].new) == (0, 1)
    assert "room-7 (95.1% indoor before, 5.0% now)" in found["missed"].sentence
    assert judged({"room-7": 0.05}, Policy(newly_missed=1)) == {}


def test_missed_when_it_was_missed_before_then_is_nothing_new() -> None:
    before = baseline_of(evaluation(cameras({"room-7": 0.05})), reason="test")
    found = compare(evaluation(cameras({"room-7": 0.04}), model=OTHER), before, Policy())
    assert found == []


def test_flagged_when_one_street_is_called_indoor_then_is_worse_and_names_it() -> None:
    found = judged({"street-19": 0.97})
    assert found["flagged"].names == ["street-19"]
    assert "missed" not in found


def test_unknown_when_many_groups_lose_their_answer_then_is_worse() -> None:
    streets = {f"street-{i}": 0.5 for i in range(20, 70)}
    found = judged(streets)
    assert found["unknown"].new == pytest.approx((12 + 50) / (2 * N), abs=1e-4)
    assert found["unknown"].names == sorted(streets)
    assert "and 38 more" in found["unknown"].sentence


def test_flips_when_six_cameras_turn_wrong_and_none_right_then_is_no_chance() -> None:
    policy = Policy(recall_drop=1.0)
    assert judged(rooms(6, 0.5), policy).keys() == {"flips"}
    assert judged(rooms(4, 0.5), policy) == {}  # one in 16
    turned_right = {f"street-{i}": 0.01 for i in range(6)}
    assert judged(rooms(6, 0.5) | turned_right, policy) == {}


def test_flips_when_listed_then_have_both_scores_and_the_largest_change_first() -> None:
    before = baseline_of(evaluation(cameras()), reason="test")
    now = evaluation(cameras({"room-3": 0.05, "room-4": 0.5, "room-5": 0.96}))
    found = flips(now, before)
    assert [(f.group, f.old, f.new, f.new_p_indoor) for f in found] == [
        ("room-3", Label.INDOOR, Label.STREET, 0.05),
        ("room-4", Label.INDOOR, Label.UNKNOWN, 0.5),
    ]
    assert found[0].path == "3.jpg"
    assert found[0].old_p_indoor == pytest.approx(0.9506)


def test_ece_when_probabilities_no_longer_mean_what_they_say_then_is_worse() -> None:
    streets = {f"street-{i}": 0.08 for i in range(12, N)}
    found = judged({f"room-{i}": 0.905 for i in range(N)} | streets)
    assert found.keys() == {"ece"}
    assert judged({f"room-{i}": 0.905 for i in range(N)} | streets, Policy(ece_rise=0.2)) == {}


@pytest.mark.parametrize(
    ("ratio", "provider", "is_worse"),
    [(15.1, "cpu", True), (14.9, "cpu", False), (15.1, "cuda", False), (None, "cpu", False)],
)
def test_latency_when_the_model_is_slower_beside_decode_then_is_worse(
    ratio: float | None, provider: str, is_worse: bool
) -> None:
    before = baseline_of(evaluation(cameras()), reason="test")
    speed = SPEED.model_copy(update={"latency_ratio": ratio})
    model = OTHER.model_copy(update={"provider": provider})
    found = compare(evaluation(cameras(), model=model, speed=speed), before, Policy())
    assert [r.what for r in found] == (["latency"] if is_worse else [])


def test_drift_when_the_same_model_says_something_else_then_something_below_it_changed() -> None:
    before = baseline_of(evaluation(cameras()), reason="test")
    now = evaluation(cameras({"room-3": 0.955, "street-50": 0.0203}))
    (found,) = compare(now, before, Policy())
    assert (found.what, found.names) == ("drift", ["3.jpg"])
    assert "3.jpg (95.06% indoor before, 95.50% now)" in found.sentence
    assert compare(now, before, Policy(drift=0.1)) == []
    assert compare(evaluation(cameras({"room-3": 0.955}), model=OTHER), before, Policy()) == []


def test_model_when_another_file_bears_the_same_name_then_is_named() -> None:
    before = baseline_of(evaluation(cameras()), reason="test")
    model = MODEL.model_copy(update={"sha256": "d" * 64})
    (found,) = compare(evaluation(cameras(), model=model), before, Policy())
    assert found.what == "model"
    assert "made-up 1 is another file" in found.sentence


def test_compare_when_labels_are_flipped_then_rooms_and_streets_are_named() -> None:
    found = judged({group: 1 - p for group, _, p in cameras()})
    assert {"missed", "flagged", "recall_at_fpr 0.005", "recall_at_fpr 0.01", "flips", "ece"} <= found.keys()
    assert len(found["missed"].names) == N


def test_rules_when_listed_then_each_has_a_name_of_its_own() -> None:
    names = [rule.what for rule in RULES]
    assert len(set(names)) == len(names) == 10


@pytest.mark.parametrize("change", ["rows", "labels", "pictures"])
def test_compare_when_the_baseline_is_of_other_data_then_is_a_usage_error(change: str) -> None:
    rows = cameras()
    before = baseline_of(evaluation(rows), reason="test")
    now = {
        "rows": lambda: evaluation(rows[1:]),
        "labels": lambda: evaluation([("room-0", Label.STREET, 0.9), *rows[1:]]),
        "pictures": lambda: evaluation(rows, pictures="e" * 64),
    }[change]()
    with pytest.raises(UsageError, match=r"of another manifest|pictures of .* have changed") as caught:
        compare(now, before, Policy())
    assert caught.value.code == "bad-baseline"


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=12), st.text(min_size=1).filter(str.strip))
def test_baseline_when_written_and_read_then_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, p: list[float], reason: str
) -> None:
    rows = [(f"g{i % 3}", (Label.STREET, Label.INDOOR)[i % 2], v) for i, v in enumerate(p)]
    now = evaluation(rows)
    path = tmp_path_factory.mktemp("baseline") / "baseline.json"
    write_baseline(now, path, reason=reason)
    again = read_baseline(path)
    assert again == baseline_of(now, reason=reason.strip())
    assert compare(now, again, Policy()) == []
    assert [p.name for p in path.parent.iterdir()] == ["baseline.json"]
    lines = path.read_text().splitlines()
    assert sum('"p_indoor"' in line for line in lines) == len(rows)


def broken(text: str) -> dict[str, str]:
    found = json.loads(text)
    return {
        "no JSON": text[: len(text) // 2],
        "schema: expected scenecheck/eval-baseline/1, got None": "[1]",
        "schema: expected scenecheck/eval-baseline/1, got 'scenecheck/eval-baseline/9'": json.dumps(
            found | {"schema": "scenecheck/eval-baseline/9"}
        ),
        "scores.0.p_indoor: Input should be less than or equal to 1": json.dumps(
            found | {"scores": [found["scores"][0] | {"p_indoor": 1.5}]}
        ),
        "groups: Field required": json.dumps({k: v for k, v in found.items() if k != "groups"}),
    }


def test_baseline_when_broken_then_file_and_field_are_named(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(evaluation(cameras()), path, reason="test")
    for what, text in broken(path.read_text()).items():
        path.write_text(text)
        with pytest.raises(UsageError) as caught:
            read_baseline(path)
        assert caught.value.code == "bad-baseline"
        assert f"{path}: {what}" in str(caught.value)


def test_baseline_when_not_there_or_without_reason_then_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(UsageError, match="a reason is needed"):
        write_baseline(evaluation(cameras()), tmp_path / "b.json", reason="  ")
    assert list(tmp_path.iterdir()) == []


def test_policy_when_read_then_defaults_stand_for_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("recall_drop = 0.03\nnewly_missed = 1\n")
    assert read_policy(path) == Policy(recall_drop=0.03, newly_missed=1)
    assert read_policy(path).ece_rise == Policy().ece_rise


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("recal_drop = 0.03", "recal_drop: Extra inputs are not permitted"),
        ("recall_drop = 3", "recall_drop: Input should be less than or equal to 1"),
        ("recall_drop = 'x'", "recall_drop: Input should be a valid number"),
        ("recall_drop = nan", "recall_drop: "),
        ("recall_drop", "no TOML: "),
        ("\udcff", "no TOML: "),
    ],
)
def test_policy_when_wrong_then_file_and_key_are_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as caught:
        read_policy(path)
    assert caught.value.code == "bad-policy"
    assert f"{path}: {what}" in str(caught.value)
