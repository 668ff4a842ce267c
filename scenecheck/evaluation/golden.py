"""Golden answers: the card's own pictures must still make the card's tiles, bit by bit, and give its scores.

Wherever a manifest contains pictures that the model's card lists as samples, `drift` sends them the whole way
again. It names what no figure on a few pictures could show: another decoder or resize, swapped channels, a
runtime that computes differently, scores that depend on the batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from scenecheck.card import Card
from scenecheck.classifier import MAX_BATCH, tile_sha256
from scenecheck.evaluation.comparison import listed
from scenecheck.evaluation.results import Regression
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import picture_from_bgr, tiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from scenecheck.adapter import Model
    from scenecheck.card import SampleAnswer
    from scenecheck.types import Picture

BATCHES = (1, 5, MAX_BATCH)
"""Batch sizes that are asked: alone, an odd one, a full one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A sample of the card, its picture as decoded here and the tile ``uint8 [3, H, W]`` it makes here."""

    answer: SampleAnswer
    picture: Picture
    tile: NDArray[np.uint8]

    @property
    def is_same(self) -> bool:
        return tile_sha256(self.tile) == self.answer.tile_sha256


def drift(files: Iterable[Path], model: Model, *, batches: Sequence[int] = BATCHES) -> list[Regression]:
    """What differs from the card's answers to those of ``files`` that it lists as samples (by hash).

    Nothing, where the card lists none of them. Raises ContentError for a sample that no longer decodes,
    ModelError when the model fails.
    """
    if not isinstance(model.card, Card):
        return []
    seen = _seen(files, model.card)
    if not seen:
        return []
    rules = (_tiles(seen, model.card), _resize(seen), _scores(seen, model, batches))
    return [found for found in rules if found is not None]


def _seen(files: Iterable[Path], card: Card) -> list[_Seen]:
    by_name = {Path(s.path).name: s for s in card.samples}
    size = (card.input.height, card.input.width)
    found = []
    for file in files:
        answer = by_name.get(file.name)
        if answer is None:
            continue
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() == answer.picture_sha256:
            picture = decode_picture(data, file.name)
            found.append(_Seen(answer, picture, tiles([picture], size)[0]))
    return found


def _tiles(seen: list[_Seen], card: Card) -> Regression | None:
    changed = [s for s in seen if not s.is_same]
    if not changed:
        return None
    names = [s.answer.path for s in changed]
    return Regression(
        what="tiles",
        old=card.input.preprocess_version,
        new=None,
        names=names,
        sentence=f"{len(changed)} of {len(seen)} samples make another tile than where the model was made "
        f"({_suspicion(changed)}): {listed(names)}",
    )


def _resize(seen: list[_Seen]) -> Regression | None:
    """Whether the resize still averages areas, at a ratio that the samples' own size need not have.

    A picture three times as large, each sample of it a box of nine with the same mean, makes the same tile; any
    other interpolation looks at some samples of it only.
    """
    names = []
    for s in seen:
        height, width = s.tile.shape[1:]
        sides = ((s.picture.height_px, height), (s.picture.width_px, width))
        if all(k >= n and not 3 * k % n for k, n in sides):  # else the mean is not exact, see `preprocess`
            is_whole = not any(k % n for k, n in sides)
            large = picture_from_bgr(_enlarged(s.picture.planes[0], 40 if is_whole else 0))
            if not np.array_equal(tiles([large], (height, width))[0], s.tile):
                names.append(s.answer.path)
    if not names:
        return None
    return Regression(
        what="resize",
        old=None,
        new=None,
        names=names,
        sentence=f"{len(names)} of {len(seen)} samples make another tile three times as large: the resize is no "
        f"area average (bilinear?): {listed(names)}",
    )


def _enlarged(bgr: NDArray[Any], swing_levels: int) -> NDArray[np.uint8]:
    """``uint8 [h, w, 3]`` to ``[3 h, 3 w, 3]``: boxes whose corners are brighter and edges darker, means unchanged.

    The swing is for tiles that cut no box: bilinear interpolation at a ratio of two is no other than the mean.
    """
    swing = np.minimum(np.minimum(bgr, 255 - bgr), swing_levels).astype(np.int16)
    box = np.array([[1, -1, 1], [-1, 0, -1], [1, -1, 1]], np.int16)
    large = bgr.repeat(3, axis=0).repeat(3, axis=1) + np.kron(swing, box[..., None])
    return large.astype(np.uint8)


def _suspicion(changed: list[_Seen]) -> str:
    """What would explain every one of the changed tiles."""
    if all(tile_sha256(s.tile[::-1]) == s.answer.tile_sha256 for s in changed):
        return "red and blue are swapped"
    for name in ("INTER_LINEAR", "INTER_NEAREST", "INTER_CUBIC", "INTER_AREA"):
        if all(_is_resized(s, getattr(cv2, name)) for s in changed):
            return f"they are resized by cv2.{name}"
    return "decoder or preprocessing changed"


def _is_resized(seen: _Seen, interpolation: int) -> bool:
    height, width = seen.tile.shape[1:]
    small = cv2.resize(seen.picture.planes[0], (width, height), interpolation=interpolation)
    return np.array_equal(small[..., ::-1].transpose(2, 0, 1), seen.tile)


def _scores(seen: list[_Seen], model: Model, batches: Sequence[int]) -> Regression | None:
    """Whether the logits are the card's at every batch size, and the same at all of them."""
    assert isinstance(model.card, Card)
    tolerance = model.card.known_answers.tolerance_logit
    tile_batch = np.stack([s.tile for s in seen])
    wanted = np.array([s.answer.logits for s in seen])
    off: dict[str, float] = {}
    for n in batches:
        error = np.abs(_logits(tile_batch, model, n) - wanted).max(axis=1)
        for s, value in zip(seen, error.tolist(), strict=True):
            if value > tolerance:
                off[s.answer.path] = max(value, off.get(s.answer.path, 0.0))
    if not off:
        return None
    names = sorted(off, key=lambda name: (-off[name], name))
    return Regression(
        what="answers",
        old=tolerance,
        new=round(off[names[0]], 4),
        names=names,
        sentence=f"{len(off)} of {len(seen)} samples give other logits than the card says, by up to "
        f"{off[names[0]]:.3g} (tolerance {tolerance:g}; {model.provider}, batches of "
        f"{', '.join(map(str, batches))}): {listed(names)}",
    )


def _logits(batch: NDArray[np.uint8], model: Model, n: int) -> NDArray[np.float64]:
    """Logits ``float64 [N, 2]`` of tiles judged ``n`` at a time, the last batch filled up with the first tiles."""
    filled = batch[np.arange(-(-len(batch) // n) * n) % len(batch)]
    parts = [model.score(filled[at : at + n]).logits for at in range(0, len(filled), n)]
    return np.concatenate(parts)[: len(batch)].astype(np.float64)
