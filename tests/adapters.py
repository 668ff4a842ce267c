"""Small models of others, in every form an adapter card can describe, and their cards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 36, 64
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def colour_onnx(
    weights: npt.ArrayLike,
    bias: npt.ArrayLike,
    *,
    layout: str = "NCHW",
    dtype: str = "float32",
    batch: int | str = "n",
    activation: str | None = None,
    is_map: bool = False,
    n_inputs: int = 1,
) -> bytes:
    """The mean of each channel times ``weights`` ``[3, K]`` plus ``bias`` ``[K]``, then the activation.

    ``is_map`` gives the output as ``[N, K, 1, 1]``.
    """
    w, b = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    sides = [3, HEIGHT, WIDTH] if layout == "NCHW" else [HEIGHT, WIDTH, 3]
    parts = {"w": w, "b": b, "axes": np.array([2, 3] if layout == "NCHW" else [1, 2], np.int64)}
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["logits"]),
    ]
    last = "logits"
    if activation:
        last = "probabilities"
        axis = {"axis": 1} if activation == "Softmax" else {}
        nodes.append(helper.make_node(activation, ["logits"], [last], **axis))
    shape: list[int | str] = [batch, w.shape[1]]
    if is_map:
        parts["to"] = np.array([-1, w.shape[1], 1, 1], np.int64)
        nodes.append(helper.make_node("Reshape", [last, "to"], ["map"]))
        last, shape = "map", [*shape, 1, 1]
    inputs = [helper.make_tensor_value_info("images", TYPES[dtype], [batch, *sides])]
    inputs += [helper.make_tensor_value_info(f"more{i}", TensorProto.FLOAT, [1]) for i in range(1, n_inputs)]
    graph = helper.make_graph(
        nodes,
        "colour",
        inputs,
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in parts.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_adapter(folder: Path, model: bytes, **changes: Any) -> Path:
    """Write ``other.onnx`` and its card ``other.json``; ``changes`` replace fields, ``input`` and ``output`` parts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "other.onnx").write_bytes(model)
    card: dict[str, Any] = {
        "schema": "scenecheck/adapter-card/1",
        "name": "other",
        "version": "1",
        "file": "other.onnx",
        "sha256": hashlib.sha256(model).hexdigest(),
        "input": {"width": WIDTH, "height": HEIGHT},
        "output": {"kind": "logits", "n": 2, "indoor": [1]},
        "thresholds": {"street_below": 0.2, "indoor_above": 0.8},
    }
    for part in ("input", "output"):
        card[part] |= changes.pop(part, {})
    card |= changes
    path = folder / "other.json"
    path.write_text(json.dumps(card))
    return path


def brightness_card(folder: Path) -> Path:
    """A model to which bright pictures are rooms and dark ones streets: 20 levels from 125 make it sure."""
    return write_adapter(folder, colour_onnx([[0.05], [0.05], [0.05]], [-18.75]),
                         output={"n": 1, "indoor": [0]})  # fmt: skip
