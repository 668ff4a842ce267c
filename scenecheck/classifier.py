"""Tiles to calibrated scores, by ONNX Runtime.

A `Classifier` that exists has proven itself: its bytes have the card's hash, its graph the card's
shapes, and on this machine it gave the answers it gave where it was made.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from scenecheck.card import Card, card_path, load_card, read_pinned
from scenecheck.errors import ContentError, ModelError, UsageError
from scenecheck.pictures import decode_picture
from scenecheck.precision import PRECISIONS, disagreement, int8_card_path
from scenecheck.preprocess import tiles as make_tiles
from scenecheck.runtime import execution_provider, open_session, run_session, session_threads, short
from scenecheck.types import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from scenecheck.card import SampleAnswer

_log = logging.getLogger(__name__)

MAX_BATCH = 32
"""Tiles given to the runtime at once: more is no faster (`benchmarks.inference`) and only
takes memory, which a caller's list must not decide."""

_OUTPUTS = ("logits", "embedding", "cam")


def _outputs(card: Card) -> tuple[str, ...]:
    """Names of the graph's outputs that are used, in the order in which they come."""
    return _OUTPUTS if card.scope is None else (*_OUTPUTS, "novelty")


class Classifier:
    """The model in memory, ready to score tiles. Use it in ``with``, or `close` it.

    ``model`` is a card (.json) or a model (.onnx) with its card beside it, None the bundled one;
    ``provider`` one of `available_providers`; ``threads`` as many as there are CPUs, at most four,
    unless told. Raises ModelError when model, card and runtime disagree, UsageError for a provider
    that is not there. `score` may be called from several threads.

    ``precision`` "int8" takes the quantised model beside the fp32 one (`int8_card_path`), but only if it
    gives fp32's known answers on this host too; otherwise fp32 is loaded, a warning logged, and
    ``fallback`` says why. ``precision`` is then what was loaded.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        provider: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        if precision not in PRECISIONS:
            raise UsageError("bad-option", f"precision: expected {' or '.join(PRECISIONS)}, got {precision}")
        self.threads = session_threads(threads)
        ort_provider = execution_provider(provider)
        self.provider = provider.lower()
        path = card_path(model)
        self.fallback: str | None = None
        """Why int8 was asked for and not taken."""
        if precision == "int8":
            self.fallback = self._try_int8(path, ort_provider)
        if precision == "fp32" or self.fallback is not None:
            self._load(path, ort_provider, named=model)
        if self.fallback is not None:
            _log.warning("int8 is not used here, fp32 is: %s", self.fallback)
        self.precision = str((self.card.model_extra or {}).get("precision", "fp32"))
        _log.info("%s %s on %s, %d threads", self.card.name, self.card.version, self.provider, self.threads)

    def _load(self, path: Path, ort_provider: str, *, named: Path | None = None) -> None:
        self.path = path
        self.card: Card = load_card(path)
        self.model_path = path.parent / self.card.file
        if named is not None and named.suffix.lower() == ".onnx" and named.name != self.card.file:
            raise ModelError("model-card", f"{path}: file is {self.card.file}, not {named.name}")
        data = read_pinned(self.model_path, self.card.sha256)
        self._session: Any = open_session(data, self.model_path, ort_provider, threads=self.threads)
        _check_shapes(self._session, self.card, self.model_path)
        self.worst_answer = self._check_known_answers()
        """Largest difference of a logit to the card's known answers."""

    def _try_int8(self, fp32_path: Path, ort_provider: str) -> str | None:
        """Load the int8 model beside a card; None, or why it must not be used on this host."""
        fp32, path = load_card(fp32_path), int8_card_path(fp32_path)
        try:
            self._load(path, ort_provider)
        except ModelError as e:
            return str(e)
        return disagreement(self.card, fp32, self._p_known)

    def _check_known_answers(self) -> float:
        known = self.card.known_answers
        path = self.path.parent / known.file
        data = read_pinned(path, known.sha256)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                batch = archive["tiles"]
        except Exception as e:
            raise ModelError("model-broken", f"{path}: no array 'tiles' in it: {short(e)}") from e
        expected = (len(known.answers), 3, self.card.input.height, self.card.input.width)
        if batch.dtype != np.uint8 or batch.shape != expected:
            raise ModelError(
                "model-shape",
                f"{path}: tiles: expected uint8 {list(expected)}, got {batch.dtype} {list(batch.shape)}",
            )
        for tile, answer in zip(batch, known.answers, strict=True):
            if tile_sha256(tile) != answer.tile_sha256:
                raise ModelError("model-hash", f"{path}: the tile of {answer.name} is not the card's")
        scores = self.score(batch)
        hashes = (a.tile_sha256 for a in known.answers)
        self._p_known = dict(zip(hashes, scores.p_indoor.tolist(), strict=True))
        logits = scores.logits
        return max(
            _compare(logits[i], a.logits, known.tolerance_logit, f"{self.model_path}: {a.name}")
            for i, a in enumerate(known.answers)
        )

    def score(self, tiles: NDArray[np.uint8]) -> Scores:
        """Score tiles ``uint8 [N, 3, H, W]`` of the card's size; N = 0 allowed.

        A tile's scores are the same bits alone, in any batch and at any place in it.

        Raises:
            ValueError: another shape or dtype.
            ModelError: the runtime failed (``model-broken``) or gave NaN or infinity (``model-answers``).
        """
        if self._session is None:
            raise RuntimeError("score: the classifier is closed")
        spec, outputs = self.card.input, self.card.outputs
        if tiles.dtype != np.uint8 or tiles.shape[1:] != (3, spec.height, spec.width):
            expected_tiles = f"uint8 [N, 3, {spec.height}, {spec.width}]"
            raise ValueError(f"tiles: expected {expected_tiles}, got {tiles.dtype} {list(tiles.shape)}")
        n = len(tiles)
        logits = np.empty((n, *outputs.logits), np.float32)
        embedding = np.empty((n, *outputs.embedding), np.float32)
        cam = np.empty((n, *outputs.cam), np.float32)
        novelty = np.zeros(n, np.float32)
        names = _outputs(self.card)
        for start in range(0, n, MAX_BATCH):
            part = slice(start, start + MAX_BATCH)
            found = self._run(np.ascontiguousarray(tiles[part]))
            places = (logits, embedding, cam, novelty)[: len(names)]
            for name, held, values in zip(names, places, found, strict=True):
                expected = (len(tiles[part]), *held.shape[1:])
                if values.shape != expected:
                    raise ModelError(
                        "model-shape",
                        f"{self.model_path}: {name}: expected {list(expected)}, got {list(values.shape)}",
                    )
                if not np.isfinite(values).all():
                    raise ModelError("model-answers", f"{self.model_path}: {name}: NaN or infinity came out")
                held[part] = values
        p = [self.card.p_indoor(float(street), float(indoor)) for street, indoor in logits]
        is_novel = novelty > (np.inf if self.card.scope is None else self.card.scope.novelty_above)
        return Scores(np.array(p, np.float64), logits, embedding, cam, is_novel)

    def _run(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return run_session(self._session, _outputs(self.card), {"tiles": batch}, self.model_path)

    def close(self) -> None:
        """Free the model's memory; harmless when done twice."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def heat_map(scores: Scores) -> NDArray[np.float32]:
    """Where an interior was seen: class-activation map of indoor minus street, ``float32 [N, h, w]``.

    In log-odds before temperature: positive speaks for indoor, negative for street (Zhou et al., 2016).
    """
    return scores.cam[:, 1] - scores.cam[:, 0]


def tile_sha256(tile: NDArray[np.uint8]) -> str:
    """SHA-256 of a tile ``uint8 [3, H, W]`` in C order, as cards pin it."""
    return hashlib.sha256(np.ascontiguousarray(tile).tobytes()).hexdigest()


def verify(
    model: Path | None = None,
    *,
    samples: Path | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
) -> Iterator[str]:
    """Check everything a card claims; yields a sentence for each claim that holds.

    ``samples`` is a folder with the card's sample pictures: each goes the whole way from its bytes.
    Raises ModelError at the first claim that does not hold.
    """
    with Classifier(model, provider=provider, threads=threads, precision=precision) as classifier:
        if classifier.fallback is not None:
            raise ModelError("model-answers", f"int8 is not used here: {classifier.fallback}")
        card, known = classifier.card, classifier.card.known_answers
        yield f"card: {classifier.path}: {card.name} {card.version}"
        yield f"hash: {card.file} has SHA-256 {card.sha256}"
        size = f"3, {card.input.height}, {card.input.width}"
        yield f"shapes: tiles uint8 [n, {size}], outputs {', '.join(_outputs(card))}"
        yield (
            f"known answers: {len(known.answers)}, logits within {classifier.worst_answer:.1e} "
            f"(allowed {known.tolerance_logit:g})"
        )
        if samples is None:
            return
        if not card.samples:
            raise ModelError("model-card", f"{classifier.path}: samples: the card lists none to compare with")
        worst = max(_verify_sample(classifier, sample, samples) for sample in card.samples)
        yield f"samples: {len(card.samples)} pictures give the card's tiles, logits within {worst:.1e}"


def _verify_sample(classifier: Classifier, sample: SampleAnswer, folder: Path) -> float:
    """Send one sample the whole way; the largest difference of a logit."""
    path, spec = folder / Path(sample.path).name, classifier.card.input
    data = read_pinned(path, sample.picture_sha256)
    try:
        batch = make_tiles([decode_picture(data, path.name)], (spec.height, spec.width))
    except ContentError as e:
        raise ModelError("model-preprocess", f"{path}: {e}") from e
    if tile_sha256(batch[0]) != sample.tile_sha256:
        raise ModelError(
            "model-preprocess",
            f"{path}: it makes another tile here than where the model was made (OpenCV or preprocess)",
        )
    tolerance = classifier.card.known_answers.tolerance_logit
    return _compare(classifier.score(batch).logits[0], sample.logits, tolerance, str(path))


def _compare(
    logits: NDArray[np.float32], expected: tuple[float, float], tolerance: float, where: str
) -> float:
    worst = float(np.abs(logits.astype(np.float64) - np.array(expected)).max())
    if worst > tolerance:
        got, said = (", ".join(f"{v:.4f}" for v in pair) for pair in (logits, expected))
        raise ModelError(
            "model-answers", f"{where}: logits {got}, the card says {said} (tolerance {tolerance:g})"
        )
    return worst


def _check_shapes(session: Any, card: Card, path: Path) -> None:
    """Compare the graph's declared inputs and outputs with the card; named dimensions fit anything."""
    spec, outputs = card.input, card.outputs
    expected = {"tiles": ("tensor(uint8)", (None, 3, spec.height, spec.width))}
    names = _outputs(card)
    for name in names:
        expected[name] = ("tensor(float)", (None, *(getattr(outputs, name) if name in _OUTPUTS else ())))
    found = {v.name: (v.type, tuple(v.shape)) for v in (*session.get_inputs(), *session.get_outputs())}
    if [v.name for v in session.get_inputs()] != ["tiles"] or not expected.keys() <= found.keys():
        raise ModelError(
            "model-shape",
            f"{path}: expected input tiles and outputs {', '.join(names)}, got {', '.join(found)}",
        )
    n = found["tiles"][1][0]
    if isinstance(n, int):
        raise ModelError("model-shape", f"{path}: tiles: a fixed batch of {n}, expected any number")
    for name, (kind, shape) in expected.items():
        got_kind, got_shape = found[name]
        fits = len(got_shape) == len(shape) and all(
            want is None or not isinstance(got, int) or want == got
            for want, got in zip(shape, got_shape, strict=True)
        )
        if got_kind != kind or not fits:
            expected_text, got_text = _shape_text(kind, shape), _shape_text(got_kind, got_shape)
            raise ModelError("model-shape", f"{path}: {name}: expected {expected_text}, got {got_text}")


def _shape_text(kind: str, shape: Sequence[int | str | None]) -> str:
    return f"{kind} [{', '.join('n' if d is None else str(d) for d in shape)}]"
