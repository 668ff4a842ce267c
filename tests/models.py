"""A tiny model with the contract of the real one, its card, and ways to spoil both."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from scenecheck.preprocess import PREPROCESS_VERSION, TILE_SIZE

HEIGHT, WIDTH = TILE_SIZE
N_FEATURES = 8
TEMPERATURE = 2.0


def tiny_onnx(
    *,
    input_name: str = "tiles",
    input_type: int = TensorProto.UINT8,
    height: int = HEIGHT,
    batch: int | str = "n",
    n_embedding: int = N_FEATURES,
    n_logits: int = 2,
    shift: float = 0.0,
    nan_above: float | None = None,
) -> bytes:
    """A convolution, a pool and a head with fixed random weights.

    ``nan_above``: logits become NaN for tiles whose mean is above (a division by zero inside).
    """
    rng = np.random.default_rng(3)
    weights = {
        "w": rng.normal(0, 0.2, (n_embedding, 3, 30, 30)).astype(np.float32),
        "head": rng.normal(0, 3, (n_logits, n_embedding, 1, 1)).astype(np.float32),
        "bias": np.array([0.3 + shift, *[-0.2] * (n_logits - 1)], np.float32),
        "mean": np.float32(127.0),
        "scale": np.float32(1 / 128),
    }
    nodes = [
        helper.make_node("Cast", [input_name], ["x0"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["x0", "mean"], ["x1"]),
        helper.make_node("Mul", ["x1", "scale"], ["x2"]),
        helper.make_node("Conv", ["x2", "w"], ["x3"], strides=[30, 30], kernel_shape=[30, 30]),
        helper.make_node("Relu", ["x3"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("Conv", ["features", "head"], ["cam"], kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["cam"], ["cam_mean"]),
        helper.make_node("Flatten", ["cam_mean"], ["cam_logits"]),
    ]
    if nan_above is None:
        nodes.append(helper.make_node("Add", ["cam_logits", "bias"], ["logits"]))
    else:
        weights["limit"] = np.float32((nan_above - 127) / 128)
        weights["axes"] = np.array([1, 2, 3], np.int64)
        weights["zero"] = np.float32(0)
        nodes += [
            helper.make_node("Add", ["cam_logits", "bias"], ["fine"]),
            helper.make_node("ReduceMean", ["x2", "axes"], ["level4"], keepdims=1),
            helper.make_node("Flatten", ["level4"], ["level"]),
            helper.make_node("Greater", ["level", "limit"], ["is_high"]),
            helper.make_node("Div", ["zero", "zero"], ["nan"]),
            helper.make_node("Where", ["is_high", "nan", "fine"], ["logits"]),
        ]
    h, w = height // 30, WIDTH // 30
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(input_name, input_type, [batch, 3, height, WIDTH])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, n_logits]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, n_embedding]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, [batch, n_logits, h, w]),
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def known_tiles() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (2, 3, HEIGHT, WIDTH), dtype=np.uint8)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class TinyModel:
    """A folder with ``scenecheck.onnx``, ``known_answers.npz`` and their card, to be changed at will."""

    folder: Path
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def card_path(self) -> Path:
        return self.folder / "scenecheck.json"

    @property
    def model_path(self) -> Path:
        return self.folder / "scenecheck.onnx"

    @property
    def answers_path(self) -> Path:
        return self.folder / "known_answers.npz"

    def write_card(self) -> Path:
        self.card_path.write_text(json.dumps(self.card))
        return self.card_path

    def replace_model(self, data: bytes) -> Path:
        """Another model under the same card, with its hash put right."""
        self.model_path.write_bytes(data)
        self.card["sha256"] = _sha256(data)
        return self.write_card()

    def replace_answers(self, **arrays: npt.NDArray[Any]) -> Path:
        np.savez(self.answers_path, **arrays)
        self.card["known_answers"]["sha256"] = _sha256(self.answers_path.read_bytes())
        return self.write_card()


def make_tiny_model(folder: Path) -> TinyModel:
    """Write model, answers and card. The answers come from numpy, not from the runtime under test."""
    batch = known_tiles()
    data = tiny_onnx()
    logits = logits_by_hand(data, batch)
    answers = [
        {
            "name": f"noise {i}",
            "tile_sha256": _sha256(tile.tobytes()),
            "logits": [float(v) for v in pair],
            "p_indoor": float(1 / (1 + np.exp(-(pair[1] - pair[0]) / TEMPERATURE))),
        }
        for i, (tile, pair) in enumerate(zip(batch, logits, strict=True))
    ]
    card = {
        "schema": "scenecheck/model-card/1",
        "name": "tiny",
        "version": "0",
        "file": "scenecheck.onnx",
        "sha256": "",
        "input": {
            "name": "tiles",
            "dtype": "uint8",
            "layout": "NCHW",
            "height": HEIGHT,
            "width": WIDTH,
            "colour": "rgb",
            "geometry": "stretch",
            "normalisation": "(x-127)/128 in the graph",
            "preprocess_version": PREPROCESS_VERSION,
        },
        "outputs": {"logits": [2], "embedding": [N_FEATURES], "cam": [2, HEIGHT // 30, WIDTH // 30]},
        "labels": ["street", "indoor"],
        "temperature": TEMPERATURE,
        "thresholds": {"street_below": 0.2, "indoor_above": 0.8},
        "known_answers": {
            "file": "known_answers.npz",
            "sha256": "",
            "tolerance_logit": 0.01,
            "answers": answers,
        },
        "samples": [],
        "training": {},
        "figures": {"auroc": 0.5},
    }
    tiny = TinyModel(folder, card)
    tiny.replace_model(data)
    tiny.replace_answers(tiles=batch)
    return tiny


def logits_by_hand(model: bytes, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The tiny model in numpy: ``float64 [N, 2]``."""
    parts = {
        t.name: numpy_helper.to_array(t).astype(np.float64)
        for t in onnx.load_from_string(model).graph.initializer
    }
    x = (batch.astype(np.float64) - 127) / 128
    n, _, height, width = x.shape
    blocks = x.reshape(n, 3, height // 30, 30, width // 30, 30)
    features = np.maximum(np.einsum("ncyixj,fcij->nfyx", blocks, parts["w"], optimize=True), 0)
    return features.mean(axis=(2, 3)) @ parts["head"][:, :, 0, 0].T + parts["bias"]
