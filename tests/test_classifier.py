"""A classifier that exists has proven itself; its scores do not depend on company."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto

from scenecheck.card import load_card
from scenecheck.classifier import (
    MAX_BATCH,
    Classifier,
    heat_map,
    tile_sha256,
    verify,
)
from scenecheck.errors import ModelError, UsageError
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import tiles as make_tiles
from scenecheck.runtime import available_cpus, available_providers
from scenecheck.types import Scores
from tests.models import HEIGHT, WIDTH, TinyModel, known_tiles, logits_by_hand, make_tiny_model, tiny_onnx

Tiles = npt.NDArray[np.uint8]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return make_tiny_model(tmp_path)


@pytest.fixture(scope="module")
def bundled() -> Path:
    path = ROOT / "models" / "scenecheck.json"
    if not path.is_file():
        pytest.skip("models/scenecheck.json is not there: make model")
    return path


@pytest.fixture(params=["tiny", "bundled"])
def any_model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The tiny model, and the real one: what holds for a small graph need not hold for fused kernels."""
    if request.param == "tiny":
        return make_tiny_model(tmp_path).card_path
    path: Path = request.getfixturevalue("bundled")
    return path


def noise(n: int, seed: int = 0) -> Tiles:
    """Tiles of very different content: noise, ramps, flat ones."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(0, 256, (n, 3, HEIGHT, WIDTH), dtype=np.uint8)
    batch[1::3] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    batch[2::3] = rng.integers(0, 256, (len(batch[2::3]), 3, 1, 1), dtype=np.uint8)
    return batch


def bits(scores: Scores, at: int) -> tuple[bytes, ...]:
    return tuple(a[at].tobytes() for a in (scores.p_indoor, scores.logits, scores.embedding, scores.cam))


def test_score_when_the_model_is_known_then_scores_are_what_numpy_says(tiny: TinyModel) -> None:
    batch = noise(5)
    with Classifier(tiny.card_path) as classifier:
        scores = classifier.score(batch)
    expected = logits_by_hand(tiny.model_path.read_bytes(), batch)
    np.testing.assert_allclose(scores.logits, expected, atol=1e-4)
    np.testing.assert_allclose(
        scores.p_indoor, 1 / (1 + np.exp(-(expected[:, 1] - expected[:, 0]) / 2.0)), atol=1e-4
    )
    assert scores.p_indoor.dtype == np.float64
    assert scores.embedding.shape == (5, 8)
    assert scores.cam.shape == (5, 2, 9, 16)
    assert len(scores) == 5


def test_score_when_there_are_no_tiles_then_shapes_hold(any_model: Path) -> None:
    with Classifier(any_model) as classifier:
        scores, outputs = classifier.score(noise(0)), classifier.card.outputs
    assert len(scores) == 0
    assert scores.logits.shape == (0, 2)
    assert scores.embedding.shape == (0, *outputs.embedding)
    assert scores.cam.shape == (0, *outputs.cam)
    assert heat_map(scores).shape == (0, *outputs.cam[1:])


@pytest.mark.parametrize("threads", [1, 2])
def test_score_when_a_tile_has_other_company_then_its_bits_are_the_same(
    any_model: Path, threads: int
) -> None:
    sizes = (1, 2, 3, 5, 8, 16, 32)
    probe = noise(3, seed=9)
    others = noise(max(sizes), seed=1)
    with Classifier(any_model, threads=threads) as classifier:
        alone = [bits(classifier.score(tile[None]), 0) for tile in probe]
        for size in sizes:
            batch = others[:size].copy()
            places = {0: 0, size // 2: 1, size - 1: 2}
            for place, which in places.items():
                batch[place] = probe[which]
            scores = classifier.score(batch)
            for place, which in places.items():
                assert bits(scores, place) == alone[which], f"tile {which} at {place} of {size}"


def test_score_when_there_are_more_tiles_than_a_batch_then_order_and_bits_hold(tiny: TinyModel) -> None:
    batch = noise(2 * MAX_BATCH + 3)
    with Classifier(tiny.card_path, threads=1) as classifier:
        scores = classifier.score(batch)
        for at in (0, MAX_BATCH - 1, MAX_BATCH, 2 * MAX_BATCH, 2 * MAX_BATCH + 2):
            assert bits(scores, at) == bits(classifier.score(batch[at : at + 1]), 0)


def test_score_when_tiles_are_a_strided_view_then_bits_are_the_same(tiny: TinyModel) -> None:
    batch = noise(6)
    with Classifier(tiny.card_path) as classifier:
        backwards = classifier.score(batch[::-1])
        forwards = classifier.score(batch)
    assert [bits(backwards, i) for i in range(6)] == [bits(forwards, 5 - i) for i in range(6)]


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 3, HEIGHT, WIDTH), np.float32),
        np.zeros((3, HEIGHT, WIDTH), np.uint8),
        np.zeros((1, 3, WIDTH, HEIGHT), np.uint8),
        np.zeros((1, 1, HEIGHT, WIDTH), np.uint8),
    ],
)
def test_score_when_tiles_have_another_shape_then_it_says_expected_and_got(
    tiny: TinyModel, batch: Tiles
) -> None:
    with (
        Classifier(tiny.card_path) as classifier,
        pytest.raises(ValueError, match=r"expected uint8 \[N, 3, 270, 480\], got"),
    ):
        classifier.score(batch)


def test_score_when_nan_comes_out_then_it_is_an_error_and_no_score(tiny: TinyModel) -> None:
    path = tiny.replace_model(tiny_onnx(nan_above=200))
    with Classifier(path) as classifier:
        assert np.isfinite(classifier.score(known_tiles()).logits).all()
        white = np.full((1, 3, HEIGHT, WIDTH), 255, np.uint8)
        with pytest.raises(ModelError, match="NaN") as caught:
            classifier.score(np.concatenate([known_tiles(), white]))
    assert caught.value.code == "model-answers"


def test_score_when_closed_then_it_says_so(tiny: TinyModel) -> None:
    classifier = Classifier(tiny.card_path)
    classifier.close()
    classifier.close()
    with pytest.raises(RuntimeError, match="closed"):
        classifier.score(known_tiles())


def _truncate(tiny: TinyModel) -> Path:
    return tiny.replace_model(tiny.model_path.read_bytes()[:-200])


def _flip_bit(tiny: TinyModel) -> Path:
    data = bytearray(tiny.model_path.read_bytes())
    data[-1000] ^= 4
    tiny.model_path.write_bytes(data)
    return tiny.card_path


def _delete_model(tiny: TinyModel) -> Path:
    tiny.model_path.unlink()
    return tiny.card_path


def _delete_answers(tiny: TinyModel) -> Path:
    tiny.answers_path.unlink()
    return tiny.card_path


def _flip_answers(tiny: TinyModel) -> Path:
    data = bytearray(tiny.answers_path.read_bytes())
    data[len(data) // 2] ^= 1
    tiny.answers_path.write_bytes(data)
    return tiny.card_path


def _swap_tiles(tiny: TinyModel) -> Path:
    return tiny.replace_answers(tiles=known_tiles()[::-1])


def _no_archive(tiny: TinyModel) -> Path:
    tiny.answers_path.write_bytes(b"no archive")
    tiny.card["known_answers"]["sha256"] = hashlib.sha256(b"no archive").hexdigest()
    return tiny.write_card()


def _embedding_of_card(tiny: TinyModel) -> Path:
    tiny.card["outputs"]["embedding"] = [9]
    return tiny.write_card()


SPOILED: list[tuple[Callable[[TinyModel], Path], str, str]] = [
    (_flip_bit, "model-hash", "SHA-256"),
    (_flip_answers, "model-hash", "known_answers.npz"),
    (_swap_tiles, "model-hash", "noise 0"),
    (_truncate, "model-broken", "does not load"),
    (lambda tiny: tiny.replace_model(b""), "model-broken", "does not load"),
    (lambda tiny: tiny.replace_model(b"\x08\x07 no model at all" * 9), "model-broken", "does not load"),
    (_no_archive, "model-broken", "tiles"),
    (_delete_model, "model-missing", "scenecheck.onnx"),
    (_delete_answers, "model-missing", "known_answers.npz"),
    (lambda tiny: tiny.replace_model(tiny_onnx(input_name="images")), "model-shape", "images"),
    (
        lambda tiny: tiny.replace_model(tiny_onnx(input_type=TensorProto.FLOAT)),
        "model-shape",
        "tensor(float)",
    ),
    (lambda tiny: tiny.replace_model(tiny_onnx(height=240)), "model-shape", "[n, 3, 270, 480]"),
    (lambda tiny: tiny.replace_model(tiny_onnx(batch=2)), "model-shape", "fixed batch of 2"),
    (lambda tiny: tiny.replace_model(tiny_onnx(n_embedding=4)), "model-shape", "embedding"),
    (lambda tiny: tiny.replace_model(tiny_onnx(n_logits=3)), "model-shape", "logits"),
    (_embedding_of_card, "model-shape", "embedding"),
    (lambda tiny: tiny.replace_answers(tiles=known_tiles()[:1]), "model-shape", "known_answers.npz"),
    (lambda tiny: tiny.replace_answers(tiles=known_tiles().astype(np.float32)), "model-shape", "float32"),
    (lambda tiny: tiny.replace_answers(pictures=known_tiles()), "model-broken", "tiles"),
    (lambda tiny: tiny.replace_model(tiny_onnx(shift=0.02)), "model-answers", "noise 0"),
    (lambda tiny: tiny.replace_model(tiny_onnx(nan_above=10)), "model-answers", "NaN"),
]


@pytest.mark.parametrize(("spoil", "code", "says"), SPOILED)
def test_classifier_when_model_or_card_is_spoiled_then_it_does_not_exist(
    tiny: TinyModel, spoil: Callable[[TinyModel], Path], code: str, says: str
) -> None:
    path = spoil(tiny)
    with pytest.raises(ModelError) as caught:
        Classifier(path)
    assert (caught.value.code, caught.value.exit_code) == (code, 4)
    assert says in str(caught.value)
    assert str(tiny.folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.try_
    if says == "does not load":
        assert caught.value.__cause__ is not None, "the runtime's own words are chained"


def test_classifier_when_logits_move_within_the_tolerance_then_it_loads_and_says_how_far(
    tiny: TinyModel,
) -> None:
    with Classifier(tiny.replace_model(tiny_onnx(shift=0.005))) as classifier:
        assert classifier.worst_answer == pytest.approx(0.005, abs=1e-4)


def test_classifier_when_the_onnx_is_given_then_the_card_beside_it_is_used(tiny: TinyModel) -> None:
    with Classifier(tiny.model_path) as classifier:
        assert classifier.card == load_card(tiny.card_path)
        assert (classifier.provider, classifier.path) == ("cpu", tiny.card_path)
    other = tiny.model_path.rename(tiny.folder / "other.onnx")
    tiny.card_path.rename(tiny.folder / "other.json")
    with pytest.raises(ModelError, match=r"file is scenecheck\.onnx, not other\.onnx") as caught:
        Classifier(other)
    assert caught.value.code == "model-card"


@pytest.mark.parametrize("provider", ["tpu", "", "azure", "CPUExecutionProviderX"])
def test_classifier_when_the_provider_is_not_there_then_those_that_are_get_named(
    tiny: TinyModel, provider: str
) -> None:
    with pytest.raises(UsageError, match=r"available: .*cpu") as caught:
        Classifier(tiny.card_path, provider=provider)
    assert (caught.value.code, caught.value.exit_code) == ("provider", 2)


def test_available_providers_when_asked_then_cpu_is_among_them_and_no_remote_one() -> None:
    assert "cpu" in available_providers()
    assert "azure" not in available_providers()


def test_classifier_when_threads_are_given_then_these_are_used(tiny: TinyModel) -> None:
    with Classifier(tiny.card_path, threads=3) as classifier:
        assert classifier.threads == 3
        assert classifier._session.get_session_options().intra_op_num_threads == 3
    with pytest.raises(UsageError, match="at least 1"):
        Classifier(tiny.card_path, threads=0)


def _proc(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = (
            root
            / "sys/fs/cgroup"
            / name.replace("__", "/").replace("_max", ".max").replace("cpu_cfs", "cpu.cfs")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"cpu_max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu_max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a__cpu_max": "100000 100000\n", "a__b__cpu_max": "400000 100000\n"}, 1),
        ("0::/a/b\n", {"a__b__cpu_max": "50000 100000\n"}, 1),
        ("0::/../../other\n", {"cpu_max": "300000 100000\n"}, 3),
        ("0::/\n", {"cpu_max": "nonsense\n"}, 16),
        (
            "4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
            {
                "cpu,cpuacct__docker__x__cpu_cfs_quota_us": "250000\n",
                "cpu,cpuacct__docker__x__cpu_cfs_period_us": "100000\n",
            },
            3,
        ),
        ("4:cpu:/\n", {"cpu__cpu_cfs_quota_us": "-1\n", "cpu__cpu_cfs_period_us": "100000\n"}, 16),
        ("4:cpu:/\n", {"cpu__cpu_cfs_quota_us": "200000\n", "cpu__cpu_cfs_period_us": "0\n"}, 16),
    ],
)
def test_available_cpus_when_a_cgroup_limits_them_then_the_narrowest_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert available_cpus(_proc(tmp_path, cgroup, **files)) == expected


def test_available_cpus_when_there_is_no_proc_then_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 5})
    assert available_cpus(tmp_path) == 3


def test_heat_map_when_averaged_then_it_is_the_difference_of_logits(any_model: Path) -> None:
    with Classifier(any_model) as classifier:
        scores = classifier.score(noise(3))
    heat = heat_map(scores)
    assert heat.dtype == np.float32
    constant = (scores.logits[:, 1] - scores.logits[:, 0]) - heat.mean(axis=(1, 2))
    np.testing.assert_allclose(constant, constant[0], atol=1e-3)  # what is left is the head's bias


def _with_sample(tiny: TinyModel, folder: Path) -> Path:
    folder.mkdir()
    picture = np.random.default_rng(2).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    data = cv2.imencode(".png", picture)[1].tobytes()
    (folder / "a.png").write_bytes(data)
    tile = make_tiles([decode_picture(data, "a.png")])
    street, indoor = logits_by_hand(tiny.model_path.read_bytes(), tile)[0]
    sample = {
        "path": "samples/a.png",
        "picture_sha256": hashlib.sha256(data).hexdigest(),
        "tile_sha256": tile_sha256(tile[0]),
        "logits": [float(street), float(indoor)],
        "p_indoor": float(1 / (1 + np.exp(-(indoor - street) / 2.0))),
    }
    tiny.card["samples"] = [sample]
    return tiny.write_card()


def test_verify_when_all_holds_then_each_claim_is_named(tiny: TinyModel, tmp_path: Path) -> None:
    path = _with_sample(tiny, tmp_path / "pictures")
    lines = list(verify(path, samples=tmp_path / "pictures", threads=1))
    assert [line.partition(":")[0] for line in lines] == [
        "card",
        "hash",
        "shapes",
        "known answers",
        "samples",
    ]
    assert tiny.card["sha256"] in lines[1]
    assert len(list(verify(path))) == 4


def test_verify_when_a_sample_is_off_then_the_code_says_in_what(tiny: TinyModel, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    path = _with_sample(tiny, folder)
    sample = tiny.card["samples"][0]

    def code() -> str:
        with pytest.raises(ModelError, match=r"a\.png") as caught:
            list(verify(path, samples=folder))
        return caught.value.code

    good = dict(sample)
    sample["tile_sha256"] = "0" * 64
    tiny.write_card()
    assert code() == "model-preprocess"
    sample.update(good, logits=[good["logits"][0] + 0.1, good["logits"][1] + 0.1])
    tiny.write_card()
    assert code() == "model-answers"
    sample.update(good)
    tiny.write_card()
    (folder / "a.png").write_bytes(b"another picture")
    assert code() == "model-hash"
    (folder / "a.png").unlink()
    assert code() == "model-missing"


def test_verify_when_the_card_lists_no_samples_then_none_can_be_compared(
    tiny: TinyModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="samples"):
        list(verify(tiny.card_path, samples=tmp_path))


def test_verify_when_the_bundled_model_judges_its_samples_then_every_claim_holds(bundled: Path) -> None:
    assert len(list(verify(bundled, samples=ROOT / "samples", threads=1))) == 5


def test_bundled_card_when_compared_with_the_samples_then_every_still_is_listed(bundled: Path) -> None:
    listed = {Path(sample.path).name for sample in load_card(bundled).samples}
    assert listed == {path.name for path in (ROOT / "samples").glob("*.jpg")}


def test_import_when_only_the_card_is_needed_then_no_runtime_is_loaded() -> None:
    code = "import sys, scenecheck.card; sys.exit('onnxruntime' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
