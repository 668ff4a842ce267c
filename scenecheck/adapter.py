"""Other people's ONNX models, judged on the same cameras: an adapter card says how to talk to one.

The card (schema ``scenecheck/adapter-card/1``, `docs/adapter.md`) stands beside the model and names its
input, its outputs and which of them count as indoor. `open_model` takes such a card or one of ours and
gives something with the same `score`. The model's hash is pinned as ours is; known answers are checked
where the card has them.
"""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scenecheck.card import (
    Dimension,
    FileName,
    Probability,
    Sha256,
    card_path,
    read_card,
    read_pinned,
    what_is_wrong,
)
from scenecheck.classifier import MAX_BATCH, Classifier
from scenecheck.errors import ContentError, ModelError, UsageError
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import tiles as make_tiles
from scenecheck.runtime import execution_provider, open_session, run_session, session_threads
from scenecheck.types import Scores, Thresholds

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

SCHEMA = "scenecheck/adapter-card/1"

MAX_CLASSES = 100_000
_PROBABILITY_SLACK = 0.01
"""How far probabilities of a half-precision softmax may be from a sum of 1."""

_TENSORS = {"float32": "tensor(float)", "float16": "tensor(float16)", "uint8": "tensor(uint8)"}

Triple = tuple[float, float, float]
Spread = Annotated[float, Field(gt=0.0)]


class _Part(BaseModel):
    # Written by hand, so a misspelt field must not pass for a default.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class AdapterInput(_Part):
    """How a picture becomes the model's input.

    The whole picture is stretched to ``width`` x ``height`` (area averages, `scenecheck.preprocess`), then
    every sample becomes ``(sample * scale - mean) / std``; ``mean`` and ``std`` are in the order of ``colour``.
    """

    name: str | None = None
    width: Dimension
    height: Dimension
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    colour: Literal["rgb", "bgr"] = "rgb"
    geometry: Literal["stretch"] = "stretch"
    scale: float = Field(default=1.0, gt=0.0)
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Spread, Spread, Spread] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _bytes_are_not_normalised(self) -> AdapterInput:
        if self.dtype == "uint8" and (self.scale, self.mean, self.std) != (1.0, (0.0,) * 3, (1.0,) * 3):
            raise ValueError("dtype: with uint8 the graph normalises itself: leave out scale, mean and std")
        return self


class AdapterOutput(_Part):
    """What comes out: ``n`` classes as ``logits`` or ``probabilities``, and which of them count as ``indoor``.

    ``indoor`` holds indices, or names that stand in ``labels``. A single output (``n`` 1) is a sigmoid's:
    ``indoor: [0]`` when it speaks for indoor, ``[]`` when it speaks for street.
    """

    name: str | None = None
    kind: Literal["logits", "probabilities"]
    n: int = Field(ge=1, le=MAX_CLASSES)
    indoor: tuple[int | str, ...]
    labels: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _indoor_names_some_classes(self) -> AdapterOutput:
        if self.labels is not None and len(self.labels) != self.n:
            raise ValueError(f"labels: expected {self.n} (n), got {len(self.labels)}")
        columns = self.indoor_columns
        if len(set(columns)) != len(columns):
            raise ValueError("indoor: a class is named twice")
        if self.n > 1 and not 0 < len(columns) < self.n:
            raise ValueError(
                f"indoor: expected 1 to {self.n - 1} of the {self.n} classes, got {len(columns)}"
            )
        return self

    @property
    def indoor_columns(self) -> list[int]:
        """Indices of the indoor classes. Raises ValueError for one that is not there."""
        found = []
        for named in self.indoor:
            if isinstance(named, str):
                if self.labels is None or named not in self.labels:
                    raise ValueError(f"indoor: {named!r} is not among labels")
                found.append(self.labels.index(named))
            elif 0 <= named < self.n:
                found.append(named)
            else:
                raise ValueError(f"indoor: {named} is not an index below {self.n} (n)")
        return found


class PictureAnswer(_Part):
    """A picture beside the card and what the model said of it where the card was written."""

    picture: FileName
    sha256: Sha256
    p_indoor: Probability


class AdapterCard(_Part):
    """An adapter card, schema ``scenecheck/adapter-card/1``."""

    schema_: Literal["scenecheck/adapter-card/1"] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    file: FileName
    sha256: Sha256
    input: AdapterInput
    output: AdapterOutput
    temperature: float = Field(default=1.0, gt=0.0, le=100.0)
    thresholds: Thresholds
    known_answers: tuple[PictureAnswer, ...] = Field(default=(), max_length=64)
    tolerance_p: float = Field(default=0.01, gt=0.0, le=0.5)


def load_adapter_card(path: Path) -> AdapterCard:
    """Read and check an adapter card.

    Raises ModelError naming file and field: ``model-missing``, ``model-adapter``.
    """
    try:
        return AdapterCard.model_validate_json(read_card(path))
    except ValidationError as e:
        raise ModelError("model-adapter", f"{path}: {what_is_wrong(e)}") from e


class AdaptedClassifier:
    """Another model in memory, scoring tiles like `Classifier`. Use it in ``with``, or `close` it.

    Tiles are ``uint8 [N, 3, H, W]`` RGB of the card's size. `Scores.logits` are (street, indoor) in log-odds
    before temperature; there is no embedding (``D`` 0) and no class-activation map (0 x 0). Raises
    ModelError when model, card and runtime disagree, UsageError for a provider that is not there.
    """

    precision = "fp32"
    fallback: str | None = None

    def __init__(self, path: Path, *, provider: str = "cpu", threads: int | None = None) -> None:
        self.path = path
        self.card = load_adapter_card(path)
        self.model_path = path.parent / self.card.file
        self.provider = provider.lower()
        self.threads = session_threads(threads)
        ort_provider = execution_provider(provider)
        data = read_pinned(self.model_path, self.card.sha256)
        self._session: Any = open_session(data, self.model_path, ort_provider, threads=self.threads)
        self._input, self._output, self._fixed_batch = _matched(self._session, self.card, path)
        n, columns = self.card.output.n, self.card.output.indoor_columns
        # One output stands for both classes; it is written out as two in `_logarithms`.
        self._is_indoor = np.isin(np.arange(n), columns) if n > 1 else np.array([not columns, bool(columns)])
        self.worst_answer = max((self._check(answer) for answer in self.card.known_answers), default=0.0)
        """Largest difference of a probability to the card's known answers; 0 where it has none."""
        _log.info("%s %s on %s, %d threads", self.card.name, self.card.version, self.provider, self.threads)

    def score(self, tiles: NDArray[np.uint8]) -> Scores:
        """Score tiles ``uint8 [N, 3, H, W]`` RGB of the card's size; N = 0 allowed.

        Raises:
            ValueError: another shape or dtype.
            ModelError: the runtime failed (``model-broken``); what came out is no logit or no probability
                (``model-answers``).
        """
        if self._session is None:
            raise RuntimeError("score: the classifier is closed")
        spec = self.card.input
        if tiles.dtype != np.uint8 or tiles.shape[1:] != (3, spec.height, spec.width):
            expected = f"uint8 [N, 3, {spec.height}, {spec.width}]"
            raise ValueError(f"tiles: expected {expected}, got {tiles.dtype} {list(tiles.shape)}")
        batch = self._fixed_batch or MAX_BATCH
        parts = [self._logits(tiles[at : at + batch]) for at in range(0, len(tiles), batch)]
        logits = np.concatenate([np.empty((0, 2)), *parts])
        # As `Card.p_indoor`, without overflow at either end.
        p = np.exp(-np.logaddexp(0.0, (logits[:, 0] - logits[:, 1]) / self.card.temperature))
        n = len(tiles)
        return Scores(
            p,
            logits.astype(np.float32),
            np.empty((n, 0), np.float32),
            np.empty((n, 2, 0, 0), np.float32),
            np.zeros(n, np.bool_),
        )

    def _logits(self, tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log-likelihoods (street, indoor) ``float64 [n, 2]`` of one batch of tiles, up to a constant each."""
        n, n_classes = len(tiles), self.card.output.n
        missing = (self._fixed_batch or n) - n
        x = _prepared(np.concatenate([tiles, np.repeat(tiles[-1:], missing, axis=0)]), self.card.input)
        raw: NDArray[Any] = run_session(self._session, [self._output], {self._input: x}, self.model_path)[0]
        if raw.size != len(x) * n_classes:
            raise ModelError(
                "model-adapter",
                f"{self.path}: output.n: {len(x)} pictures gave {_text(raw.shape)}, expected {n_classes} each",
            )
        values = raw.reshape(len(x), n_classes)[:n].astype(np.float64)
        if not np.isfinite(values).all():
            raise ModelError("model-answers", f"{self.model_path}: NaN or infinity came out")
        logs = self._logarithms(values)
        street, indoor = (
            np.logaddexp.reduce(logs[:, of], axis=1) for of in (~self._is_indoor, self._is_indoor)
        )
        return np.stack([street, indoor], axis=1)

    def _logarithms(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits or logarithms of probabilities ``[n, K]``; a single output becomes two (not it, it)."""
        output = self.card.output
        if output.kind == "logits":
            return values if output.n > 1 else np.concatenate([-values / 2, values / 2], axis=1)
        p = values if output.n > 1 else np.concatenate([1 - values, values], axis=1)
        if p.min() < -_PROBABILITY_SLACK or np.abs(p.sum(axis=1) - 1).max() > _PROBABILITY_SLACK:
            worst = int(np.argmax(np.maximum(-p.min(axis=1), np.abs(p.sum(axis=1) - 1))))
            raise ModelError(
                "model-adapter",
                f"{self.path}: output.kind: probabilities, but what came out goes from {values[worst].min():.3g} "
                f"to {values[worst].max():.3g} and sums to {values[worst].sum():.3g}: logits?",
            )
        return np.asarray(np.log(np.clip(p, 1e-12, 1.0)))

    def _check(self, answer: PictureAnswer) -> float:
        path = self.path.parent / answer.picture
        size = (self.card.input.height, self.card.input.width)
        data = read_pinned(path, answer.sha256)
        try:
            batch = make_tiles([decode_picture(data, path.name)], size)
        except ContentError as e:
            raise ModelError("model-adapter", f"{self.path}: known_answers: {e}") from e
        p = float(self.score(batch).p_indoor[0])
        if abs(p - answer.p_indoor) > self.card.tolerance_p:
            raise ModelError(
                "model-answers",
                f"{self.model_path}: {answer.picture} is {p:.4f} indoor, the card says "
                f"{answer.p_indoor:.4f} (tolerance {self.card.tolerance_p:g})",
            )
        return abs(p - answer.p_indoor)

    def close(self) -> None:
        """Free the model's memory; harmless when done twice."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


Model: TypeAlias = Classifier | AdaptedClassifier
"""Whatever scores tiles: ours or, through its adapter card, another's."""


def open_model(
    model: Path | None = None, *, provider: str = "cpu", threads: int | None = None, precision: str = "fp32"
) -> Model:
    """Open one of our models or, by its adapter card, another's; ``model`` as for `Classifier`."""
    path = card_path(model)
    if _schema_of(path) != SCHEMA:
        return Classifier(model, provider=provider, threads=threads, precision=precision)
    if precision != "fp32":
        raise UsageError(
            "bad-option", f"--precision {precision}: {path.name} names one model; give the other its own card"
        )
    return AdaptedClassifier(path, provider=provider, threads=threads)


def _schema_of(path: Path) -> object:
    """What a card says it is; whatever is no JSON object is left to our own card's errors."""
    try:
        card = json.loads(read_card(path))
    except ValueError:
        return None
    return card.get("schema") if isinstance(card, dict) else None


def _prepared(tiles: NDArray[np.uint8], spec: AdapterInput) -> NDArray[Any]:
    """Tiles ``uint8 [n, 3, H, W]`` RGB to what the graph takes."""
    x: NDArray[Any] = tiles[:, ::-1] if spec.colour == "bgr" else tiles
    if spec.dtype != "uint8":
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.std))
        x = ((x.astype(np.float32) * np.float32(spec.scale) - mean) / std).astype(spec.dtype)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if spec.layout == "NHWC" else x)


def _matched(session: Any, card: AdapterCard, path: Path) -> tuple[str, str, int | None]:
    """Names of input and output, and the batch size if the graph fixes it; compares graph and card."""
    given = _named(session.get_inputs(), card.input.name, f"{path}: input.name")
    taken = _named(session.get_outputs(), card.output.name, f"{path}: output.name")
    if len(session.get_inputs()) > 1:
        names = ", ".join(v.name for v in session.get_inputs())
        raise ModelError("model-adapter", f"{path}: input: expected a graph with one input, got {names}")
    spec, n = card.input, card.output.n
    if given.type != _TENSORS[spec.dtype]:
        raise ModelError(
            "model-adapter", f"{path}: input.dtype: the graph takes {given.type}, not {spec.dtype}"
        )
    sides = (3, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, 3)
    if len(given.shape) != 4 or any(
        isinstance(g, int) and g != s for g, s in zip(given.shape[1:], sides, strict=True)
    ):
        raise ModelError(
            "model-adapter",
            f"{path}: input: the graph takes {_text(given.shape)}; layout, height and width say "
            f"{_text(('n', *sides))}",
        )
    if all(isinstance(d, int) for d in taken.shape[1:]) and math.prod(taken.shape[1:]) != n:
        raise ModelError(
            "model-adapter", f"{path}: output.n: the graph gives {_text(taken.shape)}, the card says {n}"
        )
    batch = given.shape[0]
    return str(given.name), str(taken.name), batch if isinstance(batch, int) and batch > 0 else None


def _named(values: Any, name: str | None, where: str) -> Any:
    """The graph's value of this name, or its only one."""
    by_name = {v.name: v for v in values}
    if name is None and len(by_name) == 1:
        return next(iter(by_name.values()))
    if name is None or name not in by_name:
        raise ModelError("model-adapter", f"{where}: expected one of {', '.join(by_name)}, got {name}")
    return by_name[name]


def _text(shape: Any) -> str:
    return f"[{', '.join(str(d) if isinstance(d, int) else 'n' for d in shape)}]"
