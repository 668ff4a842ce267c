"""Golden answers: the samples still make the card's tiles to the bit and give its scores; what differs is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scenecheck import preprocess
from scenecheck.classifier import Classifier
from scenecheck.errors import ModelError
from scenecheck.evaluation import golden
from scenecheck.precision import PRECISIONS
from scenecheck.preprocess import PREPROCESS_VERSION
from scenecheck.runtime import available_providers
from scenecheck.types import Scores
from tests import worse_models
from tests.adapters import brightness_card
from training import golden as script

ROOT = Path(__file__).resolve().parent.parent
STILLS = sorted((ROOT / "samples").glob("*.jpg"))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("provider", available_providers())
def test_drift_when_nothing_changed_then_tiles_and_scores_are_the_cards_at_every_batch_size(
    precision: str, provider: str
) -> None:
    with Classifier(provider=provider, precision=precision, threads=1) as classifier:
        if classifier.fallback is not None:
            pytest.skip(f"int8 is not used on this machine: {classifier.fallback}")
        assert len(classifier.card.samples) == len(STILLS)
        assert golden.drift(STILLS, classifier) == []


def test_clips_when_sampled_then_their_tiles_are_the_golden_ones_to_the_bit() -> None:
    pinned = json.loads(script.CLIPS.read_text(encoding="utf-8"))
    assert pinned["preprocess_version"] == PREPROCESS_VERSION
    assert script.clip_hashes(ROOT / "samples") == pinned["clips"]
    assert sum(map(len, pinned["clips"].values())) == script.CLIP_FRAMES * len(pinned["clips"]) > 0


@pytest.mark.parametrize(
    ("fill", "broken", "says"),
    [
        (worse_models.fill_swapped, ["tiles", "answers"], "red and blue are swapped"),
        (worse_models.fill_bilinear, ["tiles", "resize", "answers"], "resized by cv2.INTER_LINEAR"),
        (worse_models.fill_one_bit_off, ["tiles"], "decoder or preprocessing changed"),
    ],
)
def test_drift_when_preprocessing_changes_then_every_sample_and_the_cause_are_named(
    monkeypatch: pytest.MonkeyPatch, fill: object, broken: list[str], says: str
) -> None:
    with Classifier(threads=1) as classifier:
        monkeypatch.setattr(preprocess, "_fill", fill)
        found = golden.drift(STILLS, classifier, batches=(16,))
    assert [r.what for r in found] == broken
    assert says in found[0].sentence
    assert found[0].names == [f"samples/{p.name}" for p in STILLS]


def test_drift_when_scores_depend_on_the_batch_then_it_says_by_how_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score = Classifier.score

    def company(self: Classifier, tiles: np.ndarray) -> Scores:
        found = score(self, tiles)
        return found if len(tiles) != 5 else Scores(found.p_indoor, found.logits + np.float32(0.3),
                                                    found.embedding, found.cam, found.is_novel)  # fmt: skip

    with Classifier(threads=1) as classifier:
        monkeypatch.setattr(Classifier, "score", company)
        (found,) = golden.drift(STILLS[:7], classifier)
    assert found.what == "answers"
    assert found.new == pytest.approx(0.3, abs=0.01)
    assert "7 of 7 samples give other logits than the card says, by up to 0.3" in found.sentence
    assert "batches of 1, 5, 32" in found.sentence


def test_drift_when_the_pictures_are_not_the_cards_then_there_is_nothing_to_say(tmp_path: Path) -> None:
    other = tmp_path / STILLS[0].name
    shutil.copy(STILLS[1], other)
    with Classifier(threads=1) as classifier:
        assert golden.drift([other, ROOT / "samples" / "README.md"], classifier) == []


def test_drift_when_the_model_is_anothers_then_there_is_nothing_to_say(tmp_path: Path) -> None:
    from scenecheck.adapter import open_model

    with open_model(brightness_card(tmp_path)) as model:
        assert golden.drift(STILLS, model) == []


def _copied(folder: Path) -> list[str]:
    """A copy of models/ and the arguments that make the script work on it."""
    models = folder / "models"
    shutil.copytree(ROOT / "models", models)
    return ["--models", str(models), "--clips", str(folder / "clips.json")]


def test_script_when_nothing_moved_then_it_says_nothing_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _copied(tmp_path)
    shutil.copy(script.CLIPS, tmp_path / "clips.json")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*")}
    assert script.main([*arguments, "--check"]) == 0
    assert script.main(arguments) == 0
    assert capsys.readouterr().out == ""
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*")} == before


def test_script_when_tiles_change_on_purpose_then_it_names_them_and_the_model_loads_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, card = _copied(tmp_path), tmp_path / "models" / "scenecheck.json"
    monkeypatch.setattr(preprocess, "_fill", worse_models.fill_swapped)
    assert script.main([*arguments, "--check"]) == 1
    assert "scenecheck.json: samples/bedroom-day-1.jpg: another tile, " in capsys.readouterr().out
    assert not (tmp_path / "clips.json").exists()
    with Classifier(card, threads=1) as classifier:
        assert golden.drift(STILLS[:1], classifier, batches=(1,)) != []
    assert script.main(arguments) == 0
    with Classifier(card, threads=1) as classifier:
        assert golden.drift(STILLS, classifier, batches=(16,)) == []
    with Classifier(card, precision="int8", threads=1) as int8:
        assert int8.fallback is None
    monkeypatch.undo()
    with Classifier(card, threads=1) as classifier:
        found = golden.drift(STILLS[:4], classifier, batches=(4,))
    assert [r.what for r in found] == ["tiles", "answers"]


def test_card_when_the_samples_answers_are_edited_then_the_script_says_what_moved(tmp_path: Path) -> None:
    old = json.loads((ROOT / "models" / "scenecheck.json").read_text(encoding="utf-8"))
    new = json.loads(json.dumps(old))
    assert script.moved(old, new) == []
    new["samples"][0]["logits"][0] += 0.02
    gone = new["samples"].pop()
    new["samples"].append(gone | {"path": "samples/new.jpg"})
    lines = script.moved(old, new)
    assert lines[0] == f"{gone['path']}: no longer there"
    assert lines[1].startswith(old["samples"][0]["path"])
    assert lines[2].startswith("samples/new.jpg: new, ")


def test_classifier_when_its_known_answers_are_of_another_pipeline_then_it_does_not_open(
    tmp_path: Path,
) -> None:
    path = worse_models.write(tmp_path, worse_models.swapped_channels())
    shipped = json.loads(worse_models.SHIPPED.read_text(encoding="utf-8"))
    card = json.loads(path.read_text()) | {"known_answers": shipped["known_answers"]}
    path.write_text(json.dumps(card))
    shutil.copy(ROOT / "models" / "known_answers.npz", tmp_path / "known_answers.npz")
    with pytest.raises(ModelError, match=r"logits .* the card says") as caught:
        Classifier(path)
    assert caught.value.code == "model-answers"
