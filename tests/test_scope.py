"""What is neither street nor room is no evidence: the fit on small arrays, and the whole way from a drawing."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="training needs the [train] extra")

from scenecheck.card import load_card
from scenecheck.classifier import Classifier
from scenecheck.conditions import conditions
from scenecheck.errors import ModelError
from scenecheck.pictures import decode_picture
from scenecheck.pipeline import check
from scenecheck.preprocess import TILE_SIZE, tiles
from scenecheck.types import Condition, Label
from tests.models import TinyModel, known_tiles, make_tiny_model
from training import drawn, novelty, prepare, quantize, scope

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = sorted((ROOT / "samples").glob("*.jpg"))

arrays = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).gamma(0.5, 1, (40, 12)))


def test_centres_when_there_are_few_rows_then_each_is_one_and_its_own_novelty_is_0() -> None:
    rows = np.random.default_rng(0).gamma(0.5, 1, (5, 12)).astype(np.float32)
    held = novelty.centres(rows)
    assert held.shape == (5, 12)
    np.testing.assert_allclose(novelty.from_centres(rows, held), 0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(arrays, st.floats(0.01, 100))
def test_novelty_when_an_embedding_grows_then_it_stays_and_lies_between_0_and_1(
    rows: np.ndarray, factor: float
) -> None:
    held = novelty.centres(rows[:30], n=4)
    found = novelty.from_centres(rows, held)
    assert found.min() >= -1e-6
    assert found.max() <= 1
    np.testing.assert_allclose(novelty.from_centres(rows * factor, held), found, atol=1e-6)


def test_novelty_when_nothing_is_shared_with_any_centre_then_it_is_1() -> None:
    rows = np.zeros((20, 12))
    rows[:, :6] = np.random.default_rng(0).gamma(1, 1, (20, 6))
    held, stranger = novelty.centres(rows, n=3), np.r_[np.zeros(6), np.ones(6)][None]
    assert novelty.from_centres(stranger, held) == pytest.approx(1)
    assert novelty.from_centres(np.zeros((1, 12)), held) == pytest.approx(
        1
    )  # no activation at all is no place


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.floats(0, 0.5))
def test_limit_when_it_is_set_then_at_most_that_share_lies_above(values: list[float], share: float) -> None:
    above = scope.limit(np.array(values), share)
    assert (np.array(values) > above + 1e-4).mean() <= share  # the card rounds to four digits


def test_held_out_novelty_when_a_fold_is_its_own_world_then_it_is_strange_to_the_others() -> None:
    rng = np.random.default_rng(0)
    rows = np.zeros((60, 12))
    rows[:40, :6], rows[40:, 6:] = rng.gamma(2, 1, (40, 6)), rng.gamma(2, 1, (20, 6))
    fold = np.r_[np.arange(40) % 2, np.full(20, 2)]
    found = scope.held_out_novelty(rows, np.arange(60) % 2, fold)
    assert found[fold == 2].min() == pytest.approx(1)
    assert found[fold < 2].max() < 0.5


@pytest.mark.parametrize("name", novelty.METHODS)
def test_methods_when_a_stranger_comes_then_every_one_of_them_finds_it(name: str) -> None:
    rng = np.random.default_rng(1)
    rows, label = rng.gamma(4, 0.2, (200, 12)), np.arange(200) % 2
    rows[:, 6:] *= 0.05
    score = novelty.METHODS[name](rows[:150], label[:150])
    stranger = rng.gamma(4, 0.2, (20, 12))
    stranger[:, :6] *= 0.05
    assert score(stranger).min() > score(rows[150:]).max()


# --- the graph and the card ----------------------------------------------------------------------


def scoped(tiny: TinyModel, *, above: float) -> TinyModel:
    """The tiny model with novelty in its graph, fitted to its own known tiles."""
    embedding = scope.seen_by(tiny.model_path.read_bytes(), known_tiles()).embedding
    tiny.card["scope"] = {"novelty_above": above}
    tiny.replace_model(novelty.appended(tiny.model_path.read_bytes(), novelty.centres(embedding)))
    return tiny


def strange_tile() -> np.ndarray:
    """Red alone: the tiny model's channels answer in other proportions than to noise."""
    tile = np.zeros((1, 3, *TILE_SIZE), np.uint8)
    tile[:, 0] = 255
    return tile


def test_appended_when_the_graph_runs_then_it_says_what_numpy_says_in_any_company(tmp_path: Path) -> None:
    tiny = make_tiny_model(tmp_path)
    held = novelty.centres(np.random.default_rng(0).gamma(1, 1, (6, 8)))
    plain = tiny.model_path.read_bytes()
    session = ort.InferenceSession(novelty.appended(plain, held), providers=["CPUExecutionProvider"])
    batch = np.concatenate([known_tiles(), strange_tile(), np.zeros((1, 3, *TILE_SIZE), np.uint8)])
    found, embedding = session.run(["novelty", "embedding"], {"tiles": batch})
    np.testing.assert_allclose(found, novelty.from_centres(embedding, held), atol=1e-5)
    alone = [session.run(["novelty"], {"tiles": t[None]})[0][0] for t in batch]
    assert found.tolist() == alone
    for a, b in zip(
        ort.InferenceSession(plain).run(None, {"tiles": batch}),
        session.run(["logits", "embedding", "cam"], {"tiles": batch}),
        strict=True,
    ):
        assert np.array_equal(a, b)


def test_appended_when_the_embedding_has_another_size_or_novelty_is_there_then_it_refuses(
    tmp_path: Path,
) -> None:
    plain = make_tiny_model(tmp_path).model_path.read_bytes()
    with pytest.raises(ValueError, match="embedding of 9"):
        novelty.appended(plain, np.ones((2, 9), np.float32))
    with pytest.raises(ValueError, match="without novelty"):
        novelty.appended(novelty.appended(plain, np.ones((2, 8), np.float32)), np.ones((2, 8), np.float32))


def test_score_when_novelty_is_above_the_cards_limit_then_the_tile_is_no_evidence(tmp_path: Path) -> None:
    tiny = scoped(make_tiny_model(tmp_path), above=0.05)
    batch = np.concatenate([known_tiles(), strange_tile()])
    with Classifier(tiny.card_path, threads=1) as classifier:
        scores = classifier.score(batch)
        assert classifier.score(batch[:0]).is_novel.shape == (0,)
    assert scores.is_novel.tolist() == [False, False, True]
    assert scores.conditions(2) == {Condition.OUT_OF_SCOPE}
    assert scores.conditions(0) == frozenset()


def test_score_when_the_card_says_nothing_of_scope_then_nothing_is_out_of_it(tmp_path: Path) -> None:
    tiny = scoped(make_tiny_model(tmp_path), above=0.05)
    del tiny.card["scope"]
    with Classifier(tiny.write_card(), threads=1) as classifier:
        assert not classifier.score(strange_tile()).is_novel.any()
    assert "scope" not in json.loads(load_card(tiny.card_path).model_dump_json(by_alias=True))


def test_classifier_when_the_card_has_a_limit_and_the_graph_no_novelty_then_it_refuses(
    tmp_path: Path,
) -> None:
    tiny = make_tiny_model(tmp_path)
    tiny.card["scope"] = {"novelty_above": 0.4}
    with pytest.raises(ModelError, match="novelty") as caught:
        Classifier(tiny.write_card())
    assert caught.value.code == "model-shape"
    tiny.card["scope"] = {"novelty_above": 1.5}
    with pytest.raises(ModelError, match=r"scope\.novelty_above"):
        Classifier(tiny.write_card())


def test_quantised_when_the_graph_has_novelty_then_it_stays_in_float_and_close(tmp_path: Path) -> None:
    tiny = scoped(make_tiny_model(tmp_path), above=0.05)
    fp32 = tiny.model_path.read_bytes()
    batch = np.random.default_rng(2).integers(0, 256, (24, 3, *TILE_SIZE), dtype=np.uint8)
    int8 = quantize.quantised(fp32, batch[:16], n_float_convs=0)
    kinds = {n.name: n.op_type for n in onnx.load_from_string(int8).graph.node}
    assert not [k for k, v in kinds.items() if k.startswith("scope/") and "Quantize" in v]
    a, b = (quantize.run(m, batch[16:], outputs=("novelty",))[0] for m in (fp32, int8))
    np.testing.assert_allclose(a, b, atol=0.02)


def test_write_when_fp32_has_a_limit_then_int8_gets_its_own_and_loads(tmp_path: Path) -> None:
    tiny = scoped(make_tiny_model(tmp_path), above=0.05)
    batch = np.random.default_rng(2).integers(0, 256, (24, 3, *TILE_SIZE), dtype=np.uint8)
    path = quantize.write(tiny.card_path, batch[:16], batch[16:], samples=ROOT / "samples")
    limits = load_card(tiny.card_path).scope, load_card(path).scope
    assert None not in limits
    assert abs(limits[0].novelty_above - limits[1].novelty_above) < 0.05
    with Classifier(tiny.card_path, threads=1, precision="int8") as classifier:
        assert classifier.precision == "int8"
        assert classifier.score(np.concatenate([batch[16:], strange_tile()])).is_novel.tolist() == [
            False
        ] * 8 + [True]


def test_check_when_every_frame_is_out_of_scope_then_it_is_unknown_and_the_reason_says_why(
    tmp_path: Path,
) -> None:
    tiny = scoped(make_tiny_model(tmp_path), above=0.05)
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(
            str(folder / f"{i}.png"), np.ascontiguousarray(strange_tile()[0].transpose(1, 2, 0)[..., ::-1])
        )
    with Classifier(tiny.card_path, threads=1) as classifier:
        judgement = check(folder, classifier=classifier)
    assert judgement.verdict.label is Label.UNKNOWN
    assert judgement.verdict.p_indoor is None
    assert all(Condition.OUT_OF_SCOPE in s.conditions for s in judgement.verdict.sightings)
    assert "3 out-of-scope" in judgement.verdict.reason


def test_of_run_when_the_fit_is_another_nets_then_it_refuses(tmp_path: Path) -> None:
    assert scope.of_run(tmp_path) is None
    (tmp_path / "model.pt").write_bytes(b"weights")
    sha256 = scope.digest(tmp_path / "model.pt")
    fit = scope.Scope(np.eye(3, dtype=np.float32), 0.4, sha256)
    fit.save(tmp_path / "scope.npz")
    found = scope.of_run(tmp_path)
    assert found is not None
    assert (found.novelty_above, found.model_sha256) == (0.4, sha256)
    assert np.array_equal(found.prototypes, fit.prototypes)
    (tmp_path / "model.pt").write_bytes(b"other weights")
    with pytest.raises(RuntimeError, match="fitted to another net"):
        scope.of_run(tmp_path)


# --- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", drawn.KINDS)
def test_drawn_when_numbered_then_pictures_differ_and_come_again_the_same(kind: str) -> None:
    first = drawn.picture(kind, 0)
    assert (first.shape, first.dtype) == ((drawn.H, drawn.W, 3), np.uint8)
    assert np.array_equal(first, drawn.picture(kind, 0))
    assert not np.array_equal(first, drawn.picture(kind, 1))


@pytest.fixture(scope="module")
def bundled() -> Path:
    """The bundled model's card."""
    return ROOT / "models" / "scenecheck.json"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_bundled_when_cards_and_screens_are_shown_then_they_are_out_of_scope_and_samples_are_not(
    bundled: Path, precision: str
) -> None:
    samples = tiles([decode_picture(p.read_bytes(), p.name) for p in SAMPLES])
    shown = [(k, i) for k in ("test card", "document", "desktop", "no signal", "code") for i in range(4)]
    strange = np.stack([prepare.to_tile(drawn.picture(k, i)) for k, i in shown])
    once = {
        "damaged": [False] * len(strange),
        "stale": [False] * len(strange),
        "live": [False] * len(strange),
    }
    caught = conditions(strange, at_s=[0.0] * len(strange), **once)
    with Classifier(bundled, threads=1, precision=precision) as classifier:
        is_novel, is_sample_novel = classifier.score(strange).is_novel, classifier.score(samples).is_novel
    assert not [p.name for p, novel in zip(SAMPLES, is_sample_novel, strict=True) if novel]
    passed = [s for s, c, novel in zip(shown, caught, is_novel, strict=True) if not (c or novel)]
    assert not passed


def test_check_when_a_film_shows_a_test_card_then_it_is_unknown_and_the_reason_says_why(
    bundled: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), drawn.picture("document", i)[..., ::-1])
    with Classifier(bundled, threads=1) as classifier:
        judgement = check(folder, classifier=classifier)
    assert judgement.verdict.label is Label.UNKNOWN
    assert judgement.verdict.p_indoor is None
    assert "out-of-scope" in judgement.verdict.reason
