"""Deliberately worse models and pipelines, each honest on its face: its card's hash and answers are its own.

So nothing but judging labelled pictures can tell that they are worse. Every builder takes the shipped model
apart by structure, not by name, so that a newly trained one can be spoiled alike.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from scenecheck import preprocess
from scenecheck.types import Picture
from training.golden import answered

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
SHIPPED = ROOT / "models" / "scenecheck.json"

Tiles = npt.NDArray[np.uint8]


def shipped() -> onnx.ModelProto:
    """The bundled model's graph."""
    return onnx.load(SHIPPED.with_suffix(".onnx"))


def write(folder: Path, model: onnx.ModelProto | bytes, **changes: Any) -> Path:
    """Write a model with a card that is right about it; returns the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    data = model if isinstance(model, bytes) else model.SerializeToString()
    card = json.loads(SHIPPED.read_text(encoding="utf-8")) | {"version": "worse", **changes}
    card |= {"file": "worse.onnx", "sha256": hashlib.sha256(data).hexdigest()}
    path = folder / "worse.json"
    (folder / "worse.onnx").write_bytes(data)
    path.write_text(json.dumps(card))
    card, archive = answered(path, SAMPLES)
    (folder / card["known_answers"]["file"]).write_bytes(archive)
    card["known_answers"]["sha256"] = hashlib.sha256(archive).hexdigest()
    path.write_text(json.dumps(card))
    return path


# --- graphs -----------------------------------------------------------------------------------------------


def swapped_channels() -> onnx.ModelProto:
    """Trained on BGR, fed RGB: the first convolution's channels the other way round."""
    model = shipped()
    first = next(n for n in model.graph.node if n.op_type == "Conv")
    _replace(model, first.input[1], lambda w: w[:, ::-1])
    return model


def misnormalised() -> onnx.ModelProto:
    """Divides by 255 where the training divided by 128: one constant off."""
    model = shipped()
    scale = next(n for n in model.graph.node if n.op_type in {"Mul", "Div"})
    _replace(model, scale.input[1], lambda s: s * 128 / 255 if scale.op_type == "Mul" else s * 255 / 128)
    return model


def flipped_labels() -> onnx.ModelProto:
    """Street for indoor and indoor for street."""
    model = shipped()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 0], np.int64), "flipped"))
    for name in ("logits", "cam"):
        for node in model.graph.node:
            node.output[:] = [f"{name}_right" if o == name else o for o in node.output]
            node.input[:] = [f"{name}_right" if i == name else i for i in node.input]
        model.graph.node.append(helper.make_node("Gather", [f"{name}_right", "flipped"], [name], axis=1))
    return model


def unseeing(missed: npt.NDArray[np.float32], kept: npt.NDArray[np.float32]) -> onnx.ModelProto:
    """The head fine-tuned until the ``missed`` rooms are surely streets and nothing else has moved.

    Both are embeddings ``[n, D]``. The smallest step of the head's weights that does so (least norm): what
    gradient descent on these pictures alone would end at.
    """
    model = shipped()
    inputs = np.concatenate([missed, kept]).astype(np.float64)
    target = np.r_[np.ones(len(missed)), np.zeros(len(kept))]
    step = (np.linalg.pinv(inputs) @ target).astype(np.float32)
    head = next(n for n in model.graph.node if "logits" in n.output)
    _replace(model, head.input[1], lambda w: w + np.outer([8.0, -8.0], step).astype(np.float32))
    return model


def per_tensor_int8(calibration: Tiles) -> bytes:
    """Quantised the easy way: one scale for a whole weight tensor, head included."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter([{"tiles": tile[None]} for tile in calibration])

        def get_next(self) -> dict[str, Tiles] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as name:
        plain, out = Path(name) / "plain.onnx", Path(name) / "int8.onnx"
        quant_pre_process(SHIPPED.with_suffix(".onnx"), plain, skip_symbolic_shape=True)
        quantize_static(
            plain,
            out,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=False,
        )
        return out.read_bytes()


def _replace(
    model: onnx.ModelProto, name: str, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> None:
    """Change a constant of the graph, be it an initializer or a Constant node."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(_changed(tensor, change, name))
            return
    for node in model.graph.node:
        if node.op_type == "Constant" and name in node.output:
            value = node.attribute[0].t
            value.CopyFrom(_changed(value, change, value.name))
            return
    raise LookupError(f"{name}: no constant of the graph")


def _changed(
    tensor: onnx.TensorProto, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], name: str
) -> onnx.TensorProto:
    old = numpy_helper.to_array(tensor)
    new = np.array(change(old), old.dtype, order="C")
    assert new.shape == old.shape
    assert not np.array_equal(new, old)
    return numpy_helper.from_array(new, name)


# --- pipelines: in the place of `scenecheck.preprocess._fill` ----------------------------------------------

_fill = preprocess._fill


def fill_swapped(picture: Picture, out: Tiles) -> None:
    """Somebody forgot that OpenCV reads BGR."""
    _fill(picture, out)
    out[:] = out[::-1].copy()


def fill_bilinear(picture: Picture, out: Tiles) -> None:
    """``cv2.resize`` with its default, which looks at four samples of each 36."""
    if picture.layout != "bgr":
        _fill(picture, out)
        return
    small = cv2.resize(picture.planes[0], (out.shape[2], out.shape[1]), interpolation=cv2.INTER_LINEAR)
    out[:] = small[..., ::-1].transpose(2, 0, 1)


def fill_one_bit_off(picture: Picture, out: Tiles) -> None:
    """A rounding that somebody changed: one bit, and no score moves enough to be seen."""
    _fill(picture, out)
    out[0, 0, 0] ^= 1
