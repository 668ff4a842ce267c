"""How unlike the training pictures a picture is, from its embedding: the ways that were compared.

Each ``fit`` takes embeddings ``float32 [N, D]`` and labels ``int64 [N]`` of pictures in scope and returns a
function from embeddings ``[M, D]`` to novelty ``float64 [M]``, more being stranger. `prototypes` is what ships
(`training.scope`); the others stay to be compared with on every new model.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32] | NDArray[np.float64]
Novelty = Callable[[Floats], NDArray[np.float64]]

N_PROTOTYPES = 64
N_PRINCIPAL = 512  # of ViM's 1280 dimensions, as its authors choose for features of this size
N_NEIGHBOURS = 5


def directions(embedding: Floats) -> NDArray[np.float64]:
    """Square roots, to unit length: ``float64 [N, D]``.

    Pooled activations are counts of a kind: a few strong channels would decide their cosine. The cosine of the
    roots is Bhattacharyya's coefficient of the two distributions (Arandjelović & Zisserman, 2012, "RootSIFT").
    """
    roots = np.sqrt(np.maximum(np.asarray(embedding, np.float64), 0.0))
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-12))


def centres(embedding: Floats, *, n: int = N_PROTOTYPES, seed: int = 0) -> NDArray[np.float32]:
    """``float32 [n, D]`` unit vectors that `directions` gather around, by k-means; fewer rows give fewer."""
    from sklearn.cluster import KMeans

    unit = directions(embedding).astype(np.float32)
    found = KMeans(min(n, len(unit)), n_init=1, max_iter=20, random_state=seed).fit(unit).cluster_centers_
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)


def from_centres(embedding: Floats, held: NDArray[np.float32]) -> NDArray[np.float64]:
    """One minus the cosine to the nearest centre: 0 is a centre itself, 1 has nothing in common with any."""
    return np.asarray(1.0 - (directions(embedding) @ held.T.astype(np.float64)).max(axis=1))


def prototypes(embedding: Floats, _label: NDArray[np.int64]) -> Novelty:
    held = centres(embedding)
    return lambda e: from_centres(e, held)


def neighbours(embedding: Floats, _label: NDArray[np.int64]) -> Novelty:
    """Cosine to the k-th nearest training picture (Sun et al., 2022, "Deep nearest neighbors")."""
    held = _unit(embedding)
    return lambda e: 1.0 - np.sort(_unit(e) @ held.T, axis=1)[:, -N_NEIGHBOURS]


def mahalanobis(embedding: Floats, label: NDArray[np.int64]) -> Novelty:
    """Distance to the nearest class mean, one covariance for both (Lee et al., 2018)."""
    x = np.asarray(embedding, np.float64)
    means = np.stack([x[label == y].mean(0) for y in (0, 1)])
    centred = x - means[label]
    values, axes = np.linalg.eigh(centred.T @ centred / len(x))
    whitening = axes / np.sqrt(np.maximum(values, 1e-3 * values.mean()))
    return lambda e: np.min([np.sum(((e - m) @ whitening) ** 2, axis=1) for m in means], axis=0)


def mahalanobis_of_directions(embedding: Floats, label: NDArray[np.int64]) -> Novelty:
    """The same on embeddings of unit length (Müller & Hein, 2025, "Mahalanobis++")."""
    found = mahalanobis(_unit(embedding), label)
    return lambda e: found(_unit(e))


def residual(embedding: Floats, _label: NDArray[np.int64]) -> Novelty:
    """What lies outside the principal space of the training pictures (Wang et al., 2022, "ViM")."""
    mean = np.asarray(embedding, np.float64).mean(0)
    centred = embedding - mean
    axes = np.linalg.eigh(centred.T @ centred)[1][:, : -min(N_PRINCIPAL, centred.shape[1] // 2)]
    return lambda e: np.linalg.norm((e - mean) @ axes, axis=1)


def energy(logits: Floats) -> NDArray[np.float64]:
    """Minus the log of the sum of exponentials of logits ``[M, 2]`` (Liu et al., 2020): no fit at all."""
    return np.asarray(-np.logaddexp(logits[:, 0], logits[:, 1]), np.float64)


def _unit(embedding: Floats) -> NDArray[np.float64]:
    x = np.asarray(embedding, np.float64)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))


METHODS: dict[str, Callable[[Floats, NDArray[np.int64]], Novelty]] = {
    "64 prototypes of roots": prototypes,
    "5th neighbour's cosine": neighbours,
    "Mahalanobis": mahalanobis,
    "Mahalanobis++": mahalanobis_of_directions,
    "ViM residual": residual,
}


# --- in the graph --------------------------------------------------------------------------------


def appended(model: bytes, prototypes: NDArray[np.float32]) -> bytes:
    """``model`` with a further output ``novelty`` ``float32 [N]``, computed from its ``embedding``.

    Operators that are the same in every opset; a convolution, because a product of matrices may round a row
    differently in other company. Raises ValueError when there is no embedding of that size.
    """
    proto = onnx.load_from_string(model)
    graph = proto.graph
    sizes = {o.name: [d.dim_value or d.dim_param for d in o.type.tensor_type.shape.dim] for o in graph.output}
    n, d = prototypes.shape
    if sizes.get("embedding", [0])[-1] != d or "novelty" in sizes:
        raise ValueError(
            f"expected a graph with an embedding of {d} and without novelty, got outputs {sizes}"
        )
    values = {
        "zero": np.float32(0), "one": np.float32(1), "first": np.array([1], np.int64),
        "as_map": np.array([0, -1, 1, 1], np.int64), "as_list": np.array([-1], np.int64),
        "prototypes": prototypes.reshape(n, d, 1, 1),
    }  # fmt: skip
    graph.initializer.extend(numpy_helper.from_array(np.asarray(v), f"scope/{k}") for k, v in values.items())
    steps = [
        ("Max", ["embedding", "scope/zero"], {}), ("Sqrt", [], {}), ("LpNormalization", [], {"axis": 1, "p": 2}),
        ("Reshape", ["scope/as_map"], {}), ("Conv", ["scope/prototypes"], {"kernel_shape": [1, 1]}),
        ("TopK", ["scope/first"], {"axis": 1}), ("Reshape", ["scope/as_list"], {}),
    ]  # fmt: skip
    last = ""
    for i, (kind, inputs, attributes) in enumerate(steps):
        out = f"scope/{i}"
        outputs = [out, "scope/which"] if kind == "TopK" else [out]
        graph.node.append(
            helper.make_node(
                kind, [last, *inputs] if last else inputs, outputs, f"{out}/{kind}", **attributes
            )
        )
        last = out
    graph.node.append(helper.make_node("Sub", ["scope/one", last], ["novelty"], "scope/Sub"))
    graph.output.append(helper.make_tensor_value_info("novelty", TensorProto.FLOAT, [sizes["embedding"][0]]))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()
