"""A card of another's model says how to talk to it; whatever is wrong is named by file and field."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.adapter import AdaptedClassifier, AdapterOutput, load_adapter_card, open_model
from scenecheck.classifier import Classifier
from scenecheck.errors import ModelError, UsageError
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import tiles as make_tiles
from tests.adapters import HEIGHT, WIDTH, brightness_card, colour_onnx, write_adapter
from tests.command import EvalCommand
from tests.models import make_tiny_model

Floats = npt.NDArray[np.float64]

# Channels weigh differently, so that a swap of colours shows.
WEIGHTS = np.array([[0.04, -0.01], [0.0, 0.01], [-0.03, 0.03]])
BIAS = np.array([-0.4, 0.2])
IMAGENET = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def coloured(n: int) -> npt.NDArray[np.uint8]:
    """Tiles of ``n`` random flat colours."""
    colours = np.random.default_rng(n).integers(0, 256, (n, 3, 1, 1), dtype=np.uint8)
    return np.broadcast_to(colours, (n, 3, HEIGHT, WIDTH)).copy()


def expected(tiles: npt.NDArray[np.uint8], *, bgr: bool = False, temperature: float = 1.0) -> Floats:
    """p_indoor of the two-class colour model by hand."""
    mean = tiles.mean(axis=(2, 3))[:, ::-1] if bgr else tiles.mean(axis=(2, 3))
    logits = mean @ WEIGHTS + BIAS
    return np.asarray(1 / (1 + np.exp((logits[:, 0] - logits[:, 1]) / temperature)))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_score_when_input_is_of_any_form_then_it_is_what_the_formula_says(
    tmp_path: Path, layout: str, dtype: str, colour: str
) -> None:
    model = colour_onnx(WEIGHTS, BIAS, layout=layout, dtype=dtype)
    path = write_adapter(tmp_path, model, input={"layout": layout, "dtype": dtype, "colour": colour})
    tiles = coloured(7)
    with AdaptedClassifier(path, threads=1) as classifier:
        scores = classifier.score(tiles)
    np.testing.assert_allclose(scores.p_indoor, expected(tiles, bgr=colour == "bgr"), atol=2e-3)
    assert scores.p_indoor.dtype == np.float64
    assert (scores.logits.shape, scores.embedding.shape) == ((7, 2), (7, 0))
    assert scores.cam.shape == (7, 2, 0, 0)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_score_when_the_card_normalises_then_it_is_done_in_the_order_of_colour(
    tmp_path: Path, colour: str
) -> None:
    """A graph that undoes the normalisation, channel by channel, gives the plain scores."""
    scale, mean, std = IMAGENET["scale"], np.array(IMAGENET["mean"]), np.array(IMAGENET["std"])
    undone = WEIGHTS * (std / scale)[:, None]
    model = colour_onnx(undone, BIAS + (mean / scale) @ WEIGHTS)
    path = write_adapter(tmp_path, model, input={"colour": colour, **IMAGENET})
    tiles = coloured(5)
    with AdaptedClassifier(path, threads=1) as classifier:
        np.testing.assert_allclose(
            classifier.score(tiles).p_indoor, expected(tiles, bgr=colour == "bgr"), atol=1e-4
        )


@pytest.mark.parametrize(
    ("columns", "activation", "output"),
    [
        ([0, 1], None, {"kind": "logits", "n": 2, "indoor": [1]}),
        ([1, 0], None, {"kind": "logits", "n": 2, "indoor": [0]}),
        ([0, 1], "Softmax", {"kind": "probabilities", "n": 2, "indoor": [1]}),
        ([0, 1], None, {"kind": "logits", "n": 2, "indoor": ["room"], "labels": ["road", "room"]}),
    ],
)
def test_score_when_two_classes_come_in_any_form_then_the_probability_is_the_same(
    tmp_path: Path, columns: list[int], activation: str | None, output: dict[str, Any]
) -> None:
    model = colour_onnx(WEIGHTS[:, columns], BIAS[columns], activation=activation)
    tiles = coloured(6)
    with AdaptedClassifier(write_adapter(tmp_path, model, output=output), threads=1) as classifier:
        np.testing.assert_allclose(classifier.score(tiles).p_indoor, expected(tiles), atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_score_when_there_is_one_output_then_it_speaks_for_the_class_the_card_says(
    tmp_path: Path, sign: int, kind: str
) -> None:
    margin = sign * (WEIGHTS[:, 1:] - WEIGHTS[:, :1])
    model = colour_onnx(
        margin, sign * (BIAS[1:] - BIAS[:1]), activation="Sigmoid" if kind == "probabilities" else None
    )
    output = {"kind": kind, "n": 1, "indoor": [0] if sign > 0 else []}
    tiles = coloured(6)
    with AdaptedClassifier(write_adapter(tmp_path, model, output=output), threads=1) as classifier:
        np.testing.assert_allclose(classifier.score(tiles).p_indoor, expected(tiles), atol=1e-5)


@pytest.mark.parametrize("activation", [None, "Softmax"])
@pytest.mark.parametrize("is_map", [False, True])
def test_score_when_there_are_365_places_then_the_indoor_ones_are_summed(
    tmp_path: Path, activation: str | None, is_map: bool
) -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(0, 0.02, (3, 365)), rng.normal(0, 1, 365)
    indoor = sorted(rng.choice(365, 160, replace=False).tolist())
    model = colour_onnx(weights, bias, activation=activation, is_map=is_map)
    output = {"kind": "probabilities" if activation else "logits", "n": 365, "indoor": indoor}
    tiles = coloured(9)
    logits = tiles.mean(axis=(2, 3)) @ weights + bias
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    p = share[:, indoor].sum(axis=1)
    with AdaptedClassifier(write_adapter(tmp_path, model, output=output), threads=1) as classifier:
        np.testing.assert_allclose(classifier.score(tiles).p_indoor, p, atol=1e-4)
        temperature = write_adapter(tmp_path / "2", model, output=output, temperature=2.0)
        with AdaptedClassifier(temperature, threads=1) as warm:
            odds = np.sqrt(p / (1 - p))
            np.testing.assert_allclose(warm.score(tiles).p_indoor, odds / (1 + odds), atol=1e-4)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_score_when_the_graph_has_a_fixed_batch_then_any_number_is_judged(
    tmp_path: Path, batch: int, n: int
) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS, batch=batch))
    tiles = coloured(n)
    with AdaptedClassifier(path, threads=1) as classifier:
        np.testing.assert_allclose(classifier.score(tiles).p_indoor, expected(tiles), atol=1e-5)


def test_score_when_logits_are_extreme_then_nothing_overflows(tmp_path: Path) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS * 1e6, BIAS))
    white, black = np.full((1, 3, HEIGHT, WIDTH), 255, np.uint8), np.zeros((1, 3, HEIGHT, WIDTH), np.uint8)
    with AdaptedClassifier(path, threads=1) as classifier:
        p = classifier.score(np.concatenate([white, black])).p_indoor
    assert np.isfinite(p).all()
    assert p[0] == 1.0


def test_open_model_when_the_card_is_ours_or_anothers_then_each_gets_its_classifier(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    tiny = make_tiny_model(tmp_path / "tiny")
    other = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS))
    with open_model(tiny.card_path, threads=1) as ours, open_model(other, threads=1) as theirs:
        assert isinstance(ours, Classifier)
        assert isinstance(theirs, AdaptedClassifier)
        assert (theirs.provider, theirs.threads, theirs.card.name) == ("cpu", 1, "other")
    with open_model(tmp_path / "other.onnx") as by_its_model:
        assert by_its_model.card == load_adapter_card(other)
    with pytest.raises(UsageError, match="--precision int8"):
        open_model(other, precision="int8")
    with pytest.raises(UsageError, match="--provider tpu"):
        open_model(other, provider="tpu")
    (tmp_path / "text.json").write_text("[]")
    with pytest.raises(ModelError, match=r"text\.json") as caught:
        open_model(tmp_path / "text.json")
    assert caught.value.code == "model-card"


def _input(**fields: Any) -> dict[str, Any]:
    return {"input": fields}


def _output(**fields: Any) -> dict[str, Any]:
    return {"output": fields}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "scenecheck/adapter-card/2"}, "schema"),
        ({"name": ""}, "name"),
        ({"file": "../other.onnx"}, "file"),
        ({"sha256": "abc"}, "sha256"),
        ({"temperature": 0}, "temperature"),
        ({"thresholds": {"street_below": 0.9, "indoor_above": 0.1}}, "street_below < indoor_above"),
        ({"treshold": 1}, "treshold"),
        (_input(width=0), "input.width"),
        (_input(layout="CHW"), "input.layout"),
        (_input(dtype="int8"), "input.dtype"),
        (_input(colour="yuv"), "input.colour"),
        (_input(geometry="crop"), "input.geometry"),
        (_input(std=[1, 0, 1]), "input.std.1"),
        (_input(mean=[0.5, 0.5]), "input.mean.2"),
        (_input(scale=0), "input.scale"),
        (_input(dtype="uint8", scale=0.5), "leave out scale"),
        (_output(kind="softmax"), "output.kind"),
        (_output(n=0), "output.n"),
        (_output(indoor=[]), "indoor: expected 1 to 1 of the 2 classes"),
        (_output(indoor=[0, 1]), "indoor: expected 1 to 1 of the 2 classes"),
        (_output(indoor=[1, 1]), "named twice"),
        (_output(indoor=[2]), "indoor: 2 is not an index below 2"),
        (_output(indoor=[-1]), "indoor: -1 is not an index"),
        (_output(indoor=["kitchen"]), "'kitchen' is not among labels"),
        (_output(indoor=["b", 1], labels=["a", "b"]), "named twice"),
        (_output(labels=["a"]), "labels: expected 2"),
    ],
)
def test_adapter_card_when_a_field_is_wrong_then_one_line_names_it(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS), **changes)
    with pytest.raises(ModelError) as caught:
        load_adapter_card(path)
    assert (caught.value.code, caught.value.exit_code) == ("model-adapter", 4)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "docs/adapter.md" in caught.value.try_


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        ({"dtype": "uint8"}, {}, "input.dtype: the graph takes tensor(uint8), not float32"),
        ({"layout": "NHWC"}, {}, "input: the graph takes [n, 36, 64, 3]; layout, height and width say"),
        ({}, _input(width=65), "[n, 3, 36, 65]"),
        ({}, _input(name="tiles"), "input.name: expected one of images, got tiles"),
        ({}, _output(name="scores"), "output.name: expected one of logits, got scores"),
        ({"n_inputs": 2}, _input(name="images"), "expected a graph with one input, got images, more1"),
        ({}, _output(n=3), "output.n: the graph gives [n, 2], the card says 3"),
        ({"is_map": True}, _output(n=3), "output.n: the graph gives [n, 2, 1, 1], the card says 3"),
    ],
)
def test_adapter_when_graph_and_card_disagree_then_the_field_is_named(
    tmp_path: Path, model: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS, **model), **changes)
    with pytest.raises(ModelError) as caught:
        AdaptedClassifier(path)
    assert caught.value.code == "model-adapter"
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_adapter_when_logits_are_called_probabilities_then_it_says_so(tmp_path: Path) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS), output={"kind": "probabilities"})
    with (
        AdaptedClassifier(path) as classifier,
        pytest.raises(ModelError, match=r"output\.kind: probabilities, but .* logits\?"),
    ):
        classifier.score(coloured(8))


def test_adapter_when_nan_comes_out_then_it_is_an_error_and_no_score(tmp_path: Path) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS * np.nan, BIAS))
    with AdaptedClassifier(path) as classifier, pytest.raises(ModelError, match="NaN") as caught:
        classifier.score(coloured(1))
    assert caught.value.code == "model-answers"


def test_adapter_when_another_model_lies_under_the_name_then_it_is_noticed(tmp_path: Path) -> None:
    path = write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS))
    good = (tmp_path / "other.onnx").read_bytes()
    for data, code in ((colour_onnx(WEIGHTS, BIAS + 1), "model-hash"), (good[:-9], "model-hash")):
        (tmp_path / "other.onnx").write_bytes(data)
        with pytest.raises(ModelError, match="SHA-256") as caught:
            AdaptedClassifier(path)
        assert (caught.value.code, caught.value.exit_code) == (code, 4)
    truncated = write_adapter(tmp_path, good[: len(good) // 2])
    with pytest.raises(ModelError, match="does not load") as caught:
        AdaptedClassifier(truncated)
    assert caught.value.code == "model-broken"
    (tmp_path / "other.onnx").unlink()
    with pytest.raises(ModelError, match=r"other\.onnx") as caught:
        AdaptedClassifier(truncated)
    assert caught.value.code == "model-missing"


def test_adapter_when_a_known_answer_differs_then_the_picture_is_named(tmp_path: Path) -> None:
    picture = np.full((90, 160, 3), (40, 90, 200), np.uint8)
    assert cv2.imwrite(str(tmp_path / "red.png"), picture)
    data = (tmp_path / "red.png").read_bytes()
    p = float(expected(make_tiles([decode_picture(data, "red.png")], (HEIGHT, WIDTH)))[0])
    answer = {"picture": "red.png", "sha256": hashlib.sha256(data).hexdigest(), "p_indoor": p}

    def opened(**changes: Any) -> AdaptedClassifier:
        return AdaptedClassifier(
            write_adapter(tmp_path, colour_onnx(WEIGHTS, BIAS), known_answers=[answer | changes])
        )

    assert opened().worst_answer < 1e-4
    with pytest.raises(ModelError, match=r"red\.png is 0\.\d+ indoor, the card says") as caught:
        opened(p_indoor=p + 0.02)
    assert caught.value.code == "model-answers"
    with pytest.raises(ModelError, match=r"red\.png: its SHA-256") as caught:
        opened(sha256="0" * 64)
    assert caught.value.code == "model-hash"


@given(
    st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1)))
)
def test_indoor_when_named_by_index_or_label_then_the_columns_are_the_same(
    case: tuple[int, set[int]],
) -> None:
    n, chosen = case
    if len(chosen) == n:
        chosen = chosen - {n - 1}
    labels = [f"place {i}" for i in range(n)]
    by_index = AdapterOutput(kind="logits", n=n, indoor=tuple(chosen))
    by_label = AdapterOutput(
        kind="logits", n=n, indoor=tuple(labels[i] for i in chosen), labels=tuple(labels)
    )
    assert by_index.indoor_columns == by_label.indoor_columns == list(chosen)


def test_documented_cards_when_read_then_each_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "adapter.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```json\n")[1:]]
    assert len(blocks) >= 2
    for block in blocks:
        path = tmp_path / "card.json"
        path.write_text(block)
        assert json.loads(block)["schema"] == load_adapter_card(path).schema_


def _striped(level: int) -> npt.NDArray[np.uint8]:
    """Fine stripes around a level: sharp at our tile's size, flat at a small model's."""
    stripes = np.where(np.indices((360, 640)).sum(axis=0) // 24 % 2, level - 40, level + 40)
    return np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8)


def _cameras(folder: Path) -> Path:
    levels = {"room1": 200, "room2": 180, "street1": 50, "street2": 60}
    lines = ["path,label,group"]
    for name, level in levels.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), _striped(level))
        lines.append(f"{name}.png,{'indoor' if 'room' in name else 'street'},{name}")
    (folder / "cameras.csv").write_text("\n".join(lines) + "\n")
    return folder / "cameras.csv"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> EvalCommand:
    return EvalCommand(monkeypatch, capsys)


def test_eval_when_another_model_is_given_then_it_stands_beside_a_baseline(
    tmp_path: Path, run: EvalCommand
) -> None:
    """The same cameras, the same rules and the same conditions, whatever the size of a model's input."""
    manifest, baseline = _cameras(tmp_path), tmp_path / "baseline.json"
    good = brightness_card(tmp_path / "good")
    first = run(manifest, "--model", good, "--baseline", baseline, "--update-baseline", "bright is indoor")
    assert first.code == 0
    assert json.loads(baseline.read_text())["groups"]["unknown_share"] == 0.0
    policy = tmp_path / "policy.toml"
    policy.write_text("latency_ratio = 1000\n")
    compared = (manifest, "--baseline", baseline, "--policy", policy, "--model")
    assert run(*compared, good).code == 0
    bad = write_adapter(tmp_path / "bad", colour_onnx([[-0.05]] * 3, [18.75]), output={"n": 1, "indoor": [0]},
                        name="dark is indoor")  # fmt: skip
    worse = run(*compared, bad)
    assert worse.code == 1
    assert worse.report["model"]["name"] == "dark is indoor"
    assert worse.broken["missed"]["names"] == ["room1", "room2"]
    assert worse.broken["flagged"]["names"] == ["street1", "street2"]


def test_eval_when_the_adapted_model_is_another_or_the_card_wrong_then_exit_4_and_one_line(
    tmp_path: Path, run: EvalCommand
) -> None:
    manifest, card = _cameras(tmp_path), brightness_card(tmp_path / "good")
    fields = json.loads(card.read_text())
    card.write_text(json.dumps(fields | {"input": fields["input"] | {"color": "bgr"}}))
    misspelt = run(manifest, "--model", card)
    card.write_text(json.dumps(fields))
    (tmp_path / "good" / "other.onnx").write_bytes(colour_onnx(WEIGHTS, BIAS))
    replaced = run(manifest, "--model", card)
    for answer, says in (
        (misspelt, f"model-adapter: {card}: input.color: Extra inputs are not permitted"),
        (replaced, f"model-hash: {tmp_path / 'good' / 'other.onnx'}: its SHA-256 is"),
    ):
        assert (answer.code, answer.report) == (4, {})
        (line,) = answer.error.splitlines()
        assert says in line
