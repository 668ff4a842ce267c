"""The quantiser keeps the graph's meaning: padding moves, the head stays in float, answers stay close."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("scipy", reason="training needs the [train] extra")
pytest.importorskip("sklearn", reason="training needs the [train] extra")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from scenecheck.preprocess import TILE_SIZE  # noqa: E402
from tests.models import make_tiny_model  # noqa: E402
from training import quantize  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def padded_conv(filler: float) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    values = {
        "w": rng.normal(0, 1, (4, 3, 3, 3)).astype(np.float32),
        "pads": np.array([0, 0, 0, 1, 0, 0, 1, 2], np.int64),
        "filler": np.float32(filler),
    }
    nodes = [
        helper.make_node("Pad", ["x", "pads", "filler"], ["y"]),
        helper.make_node("Conv", ["y", "w"], ["z"], kernel_shape=[3, 3], pads=[1, 0, 0, 0], strides=[2, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 9, 11])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def output(model: onnx.ModelProto) -> np.ndarray:
    import onnxruntime as ort

    x = np.random.default_rng(1).normal(0, 1, (1, 3, 9, 11)).astype(np.float32)
    found: np.ndarray = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    return found


def test_fold_pads_when_padding_is_zero_then_the_convolution_pads_and_says_the_same() -> None:
    model = padded_conv(0.0)
    before = output(model)
    assert quantize.fold_pads(model) == 1
    assert [n.op_type for n in model.graph.node] == ["Conv"]
    np.testing.assert_allclose(output(model), before, atol=1e-5)


def test_fold_pads_when_padding_is_not_zero_then_it_stays() -> None:
    model = padded_conv(1.0)
    assert quantize.fold_pads(model) == 0
    assert [n.op_type for n in model.graph.node] == ["Pad", "Conv"]


def test_quantised_when_the_graph_is_tiny_then_the_head_is_float_and_logits_are_close(tmp_path: Path) -> None:
    tiny = make_tiny_model(tmp_path)
    fp32 = tiny.model_path.read_bytes()
    batch = np.random.default_rng(2).integers(0, 256, (24, 3, *TILE_SIZE), dtype=np.uint8)
    int8 = quantize.quantised(fp32, batch[:16], n_float_convs=0)
    nodes = {n.name: n for n in onnx.load_from_string(int8).graph.node}
    makers = {o: n for n in nodes.values() for o in n.output}
    assert sum(n.op_type == "QuantizeLinear" for n in nodes.values()) >= 2
    cam = makers["cam"]
    assert cam.op_type == "Conv"
    weights = {t.name for t in onnx.load_from_string(int8).graph.initializer}
    assert cam.input[1] in weights, "the maps' weights are quantised"
    a, b = quantize.run(fp32, batch[16:])[0], quantize.run(int8, batch[16:])[0]
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, atol=0.1)


def test_calibration_when_there_are_no_scenes_then_the_samples_serve_with_a_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = quantize.calibration_tiles(4, scenes=tmp_path, samples=ROOT / "samples")
    assert batch.shape == (4, 3, *TILE_SIZE)
    assert "not there" in capsys.readouterr().err
    again = quantize.calibration_tiles(4, scenes=tmp_path, samples=ROOT / "samples")
    assert np.array_equal(batch, again)


def test_slope_when_margins_are_stretched_then_it_says_by_how_much() -> None:
    logits = np.array([[0, 2], [1, -3], [2, 1]], np.float32)
    assert quantize.slope(logits, logits * 1.25) == pytest.approx(1.25)
