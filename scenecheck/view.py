"""Two views of one fixed camera: same or moved, how far, and what that does to a verdict.

The second witness beside the classifier. It looks at where edges lie and which way they run, which light,
infrared, weather and encoders change little, and at the classifier's embedding. People and vehicles hide
a part of the edges only. Structure alone can prove ``same``; the embedding may only speak against it,
because a camera turned within its scene keeps an embedding closer than the same view keeps at night.

Directions are angles doubled, so that a contrast turned around (day to infrared) leaves them alone, each
cell weighed against its neighbourhood so that light does not matter; they are registered by phase
correlation (Kuglin and Hines, 1975; of orientations: Fitch et al., 2002, "Orientation Correlation").
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from scenecheck.types import Condition, Label, Thresholds, Verdict
from scenecheck.verdict import combine, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scenecheck.types import Sighting

GRID = (45, 80)
"""Rows and columns of the field of a view that may be shown: cells of 4x4 pixels of a 180x320 tile."""
COARSE_GRID = (9, 16)
"""The field of a view that may not be shown: no more cells than its mosaic has (`scenecheck.mask`)."""
MAX_EMBEDDING = 4096
"""Longest embedding that is parsed; EfficientNet-Lite ends in 1280."""
SAME_SCORE = 0.7
"""Probability from which a view counts as the same: 1 of 1,000 moved views of the fitted cameras passes it."""
SURE_SCORE = 0.95
"""Probability from which a same view may outvote the classifier's own `indoor`."""
MAX_SHIFT = 0.12
"""Share of width and height that a sagging mast or a digital zoom off the middle may move a same view."""
MIN_TEXTURE = 0.03
"""Mean strength of the field (0..1) below which a picture shows too little to be compared: fog, black."""
MIN_AGREEING = 12
"""Of 144 parts of the picture, those that must agree: a few lamps in the dark fit any few lamps (up to 10
parts), while the same harbour by night and by day agreed in 13 and more, ordinary views in 30 and more."""
STRICT_ODDS = 4.0
"""A moved view must be this many times less likely indoor than `street_below` asks for."""
STRICT_FRAMES = 4
"""Fit frames that a moved view must show: twice those that make a verdict certain."""
OVERWHELMING_ODDS = 9.0
"""Odds times those of `indoor_above` from which no sameness makes a street."""

Witness = Literal["structure", "structure+embedding", "coarse", "none"]

_OSD_ROWS = 4  # of 45 above and below: clocks and names stand there, and are alike on many cameras
_PAD = (60, 100)  # FFT periods: shifts up to half a picture stay unambiguous
_WHITEN = 0.8  # of the spectrum: 1 would raise the noise of blurred pictures, 0 lets big shapes decide
_NEAR = ((1.0, 0.0), (0.9, 0.0), (0.8, 0.0), (1.12, 0.0), (1.25, 0.0), (1.0, -3.0), (1.0, 3.0))
_FAR = ((0.55, 0.0), (0.67, 0.0), (1.5, 0.0), (1.8, 0.0), (1.0, -7.0), (1.0, 7.0), (1.0, -12.0), (1.0, 12.0))
_WEIGHTS = (-7.73, 3.67)  # of 1 and log(peak): logistic regression by `python -m benchmarks.view --fit`
_WEIGHTS_COARSE = (-14.93, 4.52)
_RIVAL_POWER = 4  # an alignment out of bounds that fits better speaks against the best one within
_ALIEN_COSINE = 0.3  # same views stay above it but for heavy infrared noise or a hidden third; others seldom
_ALIEN_WEIGHT = 8.0  # a cosine of 0 asks for twice the peak, by choice, not by fit
_SURE_PEAK = 24.0  # beyond it no other zoom or turn needs to be tried: no moved view came above 18
_STANDS_OUT = 8.5  # other cameras reach it by chance in fewer than 1 of 100 pairs
_HEADER = struct.Struct(">4sBBHHBB8s")
_MAGIC = b"SCVW"
_VERSION = 1
_NOT_LIVE = frozenset({Condition.FROZEN, Condition.STALE, Condition.DAMAGED})


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where a camera looks, without a picture.

    ``embedding`` ``int8 [D]`` (direction only, its length means nothing); ``field`` ``int8 [2, h, w]``, the
    cosine and sine of the doubled edge direction times its strength, 127 = 1; ``h, w`` are ``GRID``, or
    ``COARSE_GRID`` for a view not proven street, which has no embedding (``D`` = 0). ``model`` are 8 bytes
    that name the classifier, because embeddings of different ones cannot be compared. ``n_frames`` were
    merged.
    """

    embedding: NDArray[np.int8]
    field: NDArray[np.int8]
    model: bytes = bytes(8)
    n_frames: int = 1

    def __post_init__(self) -> None:
        least, most = (0, 0) if self.field.shape[1:] == COARSE_GRID else (1, MAX_EMBEDDING)
        n, shape = len(self.embedding), list(self.field.shape)
        if self.embedding.ndim != 1 or not least <= n <= most:
            raise ValueError(f"view: expected an embedding [{least}..{most}], got [{n}]")
        if self.field.shape not in ((2, *GRID), (2, *COARSE_GRID)):
            raise ValueError(f"view: expected a field of {GRID} or {COARSE_GRID}, got {shape}")
        if self.embedding.dtype != np.int8 or self.field.dtype != np.int8:
            raise ValueError(f"view: expected int8, got {self.embedding.dtype} and {self.field.dtype}")
        if len(self.model) != 8 or not 0 < self.n_frames < 1 << 16:
            raise ValueError(f"view: expected 8 bytes, 1..65535 frames; got {self.model!r}, {self.n_frames}")

    @classmethod
    def of(cls, tile: NDArray[np.uint8], embedding: NDArray[np.float32], *, model: bytes = bytes(8)) -> View:
        """The view of a tile ``uint8 [3, H, W]`` and its embedding ``float32 [D]``. Raises ValueError."""
        if tile.dtype != np.uint8 or tile.ndim != 3 or tile.shape[0] != 3:
            raise ValueError(f"view: expected a tile uint8 [3, H, W], got {tile.dtype} {list(tile.shape)}")
        return cls(_int8(_unit(embedding)), _pack(_field(tile)), model)

    @property
    def is_coarse(self) -> bool:
        return self.field.shape[1:] == COARSE_GRID

    @property
    def texture(self) -> float:
        """Mean strength of the field, 0 (nothing to see) to 1."""
        return float(np.abs(_unpack(self.field)).mean())

    def coarse(self) -> View:
        """What may be stored of a view not proven street: 9x16 cells of direction, no embedding."""
        if self.is_coarse:
            return self
        z = self.field.transpose(1, 2, 0).astype(np.float32)
        small = cv2.resize(z, COARSE_GRID[::-1], interpolation=cv2.INTER_AREA)
        field = np.ascontiguousarray(np.rint(small).astype(np.int8).transpose(2, 0, 1))
        return replace(self, embedding=np.zeros(0, np.int8), field=field)

    def to_bytes(self) -> bytes:
        """Version, sizes, then the samples: 8.5 kB, or 308 bytes of a coarse view."""
        h, w = self.field.shape[1:]
        head = _HEADER.pack(_MAGIC, _VERSION, 0, self.n_frames, len(self.embedding), h, w, self.model)
        return head + self.embedding.tobytes() + self.field.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> View:
        """The view that :meth:`to_bytes` wrote. Raises ValueError for all else; takes no memory for it."""
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise ValueError("view: these bytes are no stored view")
        _, version, _, n_frames, n, h, w, model = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"view: expected version {_VERSION}, got {version}")
        if (h, w) not in (GRID, COARSE_GRID) or len(data) != _HEADER.size + n + 2 * h * w:
            raise ValueError(f"view: {len(data)} bytes do not hold an embedding [{n}] and a field {h}x{w}")
        samples = np.frombuffer(data, np.int8, offset=_HEADER.size)
        return cls(samples[:n].copy(), samples[n:].reshape(2, h, w).copy(), model, n_frames)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a camera still shows its reference view.

    ``score`` is the probability that it does; ``shift_x`` and ``shift_y`` (share of width and height,
    where the reference's middle now lies), ``rotation_deg`` (clockwise) and ``zoom`` (above 1: larger
    now) are None where no alignment stands out. ``witness`` names what decided; ``none``: there was too
    little to see.
    """

    same: bool
    score: float
    shift_x: float | None
    shift_y: float | None
    rotation_deg: float | None
    zoom: float | None
    witness: Witness


def merge(views: Sequence[View]) -> View:
    """One reference of several frames: what stays is kept, what moves cancels.

    Raises ValueError for none, or for views of different models or grids.
    """
    if not views:
        raise ValueError("merge: expected at least one view, got none")
    if len({(v.model, len(v.embedding), v.field.shape) for v in views}) > 1:
        raise ValueError("merge: expected views of one model and one grid")
    n = np.array([v.n_frames for v in views], np.float32)
    embedding = sum(k * _unit(v.embedding) for k, v in zip(n, views, strict=True))
    field = np.average([v.field.astype(np.float32) for v in views], axis=0, weights=n)
    total = min(int(n.sum()), (1 << 16) - 1)
    return View(_int8(np.asarray(embedding)), np.rint(field).astype(np.int8), views[0].model, total)


def compare(reference: View, current: View) -> Comparison:
    """Say whether ``current`` shows what ``reference`` shows, and how far it went if it does not.

    Where either is coarse, both are compared at the coarse grid, and ``same`` proves less. Embeddings
    of different models are left out.
    """
    is_coarse = reference.is_coarse or current.is_coarse
    if is_coarse:
        reference, current = reference.coarse(), current.coarse()
    if min(reference.texture, current.texture) < MIN_TEXTURE * (0.5 if is_coarse else 1.0):
        return Comparison(False, 0.0, None, None, None, None, "none")
    near, best = _register(_unpack(reference.field), _unpack(current.field), is_coarse=is_coarse)
    bias, weight = _WEIGHTS_COARSE if is_coarse else _WEIGHTS
    evidence = bias + weight * math.log(_peak(near, best))
    has_embeddings = not is_coarse and (
        reference.model == current.model and reference.embedding.size == current.embedding.size
    )
    if has_embeddings:
        cosine = float(_unit(reference.embedding) @ _unit(current.embedding))
        evidence -= _ALIEN_WEIGHT * max(0.0, _ALIEN_COSINE - cosine)
    if not is_coarse and _agreeing(reference, current, near) < MIN_AGREEING:
        evidence = min(evidence, 0.0)
    score = 1 / (1 + math.exp(-evidence))
    witness: Witness = "coarse" if is_coarse else "structure+embedding" if has_embeddings else "structure"
    same = score >= SAME_SCORE
    found = near if same else best
    if not same and found.peak < _STANDS_OUT:
        return Comparison(False, score, None, None, None, None, witness)
    return Comparison(same, score, found.shift_x, found.shift_y, found.rotation_deg, found.zoom, witness)


def with_reference(
    sightings: Sequence[Sighting], comparison: Comparison | None, *, thresholds: Thresholds
) -> Verdict:
    """The verdict of a feed whose reference was proven street (or accepted by a person).

    Same view: what would be `unknown`, and an `indoor` that is not overwhelming if the sameness is sure,
    stays `street`, but never on frozen, stale or damaged frames. Any other: `street` needs more frames
    and stricter odds. No comparison, or a coarse one that says same: as without a reference.
    """
    base = judge(sightings, thresholds)
    if comparison is None or (comparison.same and comparison.witness == "coarse"):
        return base
    return (_lenient if comparison.same else _strict)(base, comparison, thresholds)


def _strict(base: Verdict, comparison: Comparison, thresholds: Thresholds) -> Verdict:
    moved = "nothing to compare with the reference" if comparison.witness == "none" else "the view moved"
    if base.label is not Label.STREET:
        return replace(base, reason=f"{base.reason}; {moved}")
    evidence = [s.p_indoor for s in base.sightings if s.is_evidence]
    limit = _at_odds(thresholds.street_below, 1 / STRICT_ODDS)
    if len(evidence) < STRICT_FRAMES:
        reason = f"{moved}: {len(evidence)} of the {STRICT_FRAMES} frames that it then takes"
    elif combine(evidence) > limit or max(evidence) > thresholds.street_below:
        reason = f"{moved}: {max(evidence):.1%} indoor at most, too much for a view not seen before"
    else:
        return replace(base, reason=f"{base.reason}; {moved}")
    return replace(base, label=Label.UNKNOWN, reason=reason, is_certain=False)


def _lenient(base: Verdict, comparison: Comparison, thresholds: Thresholds) -> Verdict:
    n_live = sum(not s.conditions & _NOT_LIVE for s in base.sightings)
    worst = max((s.p_indoor for s in base.sightings if s.is_evidence), default=0.0)
    overwhelming = _at_odds(thresholds.indoor_above, OVERWHELMING_ODDS)
    is_enough = comparison.score >= (SURE_SCORE if worst >= thresholds.indoor_above else SAME_SCORE)
    is_old = 2 * n_live <= len(base.sightings)
    if base.label is Label.STREET or is_old or worst >= overwhelming or not is_enough:
        return base
    reason = f"the view proven before ({comparison.score:.1%} the same); {base.reason}"
    return replace(base, label=Label.STREET, reason=reason, is_certain=False)


def _at_odds(p: float, factor: float) -> float:
    odds = p / (1 - p) * factor
    return odds / (1 + odds)


# --- the field: which way edges run ------------------------------------------------------------


def _field(tile: NDArray[np.uint8]) -> NDArray[np.complex64]:
    """Doubled edge directions ``complex64 [45, 80]``, |z| <= 1, without the strips of clocks and bars."""
    rgb = cv2.resize(np.ascontiguousarray(tile.transpose(1, 2, 0)), (320, 180), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    soft = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    x, y = (cv2.Sobel(soft, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
    strength = cv2.magnitude(x, y) + 1e-6
    parts = np.dstack([(x * x - y * y) / strength, 2 * x * y / strength, strength])
    cells = cv2.resize(parts, GRID[::-1], interpolation=cv2.INTER_AREA)
    # 1 grey level a pixel keeps the noise of flat surfaces from counting as structure
    scale = 1 / (cv2.GaussianBlur(cells[..., 2], (0, 0), 4.0) + 1.0)
    z = np.asarray((cells[..., 0] + 1j * cells[..., 1]) * scale, np.complex64)
    z /= np.maximum(np.abs(z), 1)
    z[:_OSD_ROWS] = z[-_OSD_ROWS:] = 0
    for axis in (0, 1):
        first, last = _content(np.asarray(gray, np.uint8), axis)
        lines = z if axis == 0 else z.T
        lines[: -(-first // 4) + 1 if first else 0] = 0
        lines[last // 4 - 1 if last < gray.shape[axis] else len(lines) :] = 0
    return z


def _content(gray: NDArray[np.uint8], axis: int) -> tuple[int, int]:
    """First and last line that is not a bar of one colour: bars are alike on all cameras."""
    lines = np.flatnonzero(np.ptp(gray, axis=1 - axis) > 12)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (gray.shape[axis], gray.shape[axis])


def _pack(z: NDArray[np.complex64]) -> NDArray[np.int8]:
    return np.rint(np.stack([z.real, z.imag]) * 127).astype(np.int8)


def _unpack(field: NDArray[np.int8]) -> NDArray[np.complex64]:
    return np.asarray((field[0] + 1j * field[1].astype(np.float32)) / 127, np.complex64)


def _unit(v: NDArray[np.float32] | NDArray[np.int8]) -> NDArray[np.float32]:
    wide = v.astype(np.float32)
    if not np.isfinite(wide).all():
        raise ValueError("view: expected a finite embedding")
    return np.asarray(wide / max(float(np.linalg.norm(wide)), 1e-12), np.float32)


def _int8(v: NDArray[np.float32]) -> NDArray[np.int8]:
    scale = 127 / max(float(np.abs(v).max(initial=0)), 1e-12)
    return np.asarray(np.rint(v * scale), np.int8)


# --- registration ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Alignment:
    """``peak``: height of the correlation at this alignment, in standard deviations of the surface."""

    peak: float
    shift_x: float
    shift_y: float
    rotation_deg: float
    zoom: float


def _peak(near: _Alignment, best: _Alignment) -> float:
    """Height of the best allowed alignment, lowered where one that is not allowed fits better."""
    share = min(1.0, max(near.peak, 0.0) / max(best.peak, 1e-9))
    return max(near.peak * share**_RIVAL_POWER, 1.0)


@cache
def _window(h: int, w: int) -> NDArray[np.bool_]:
    """Shifts that a same view may show, on the padded surface."""
    dy, dx = (np.abs((np.arange(p) + p // 2) % p - p // 2) for p in _PAD)
    return np.asarray((dy[:, None] <= MAX_SHIFT * h) & (dx[None] <= MAX_SHIFT * w))


def _register(
    reference: NDArray[np.complex64], current: NDArray[np.complex64], *, is_coarse: bool
) -> tuple[_Alignment, _Alignment]:
    """The best alignment that a same view may have, and the best of all."""
    spectrum = np.conj(np.fft.fft2(reference, _PAD))
    near = best = _align(spectrum, current, 1.0, 0.0)[0]
    for k, (zoom, rotation_deg) in enumerate((*_NEAR, *(() if is_coarse else _FAR))):
        if near.peak > _SURE_PEAK:
            break
        inside, anywhere = _align(spectrum, current, zoom, rotation_deg)
        if k < len(_NEAR) and inside.peak > near.peak:
            near = inside
        best = max(best, anywhere, key=lambda a: a.peak)
    return near, best


def _agreeing(reference: View, current: View, at: _Alignment) -> int:
    """How many of 9x16 parts show edges of the same direction once the alignment is undone."""
    a = _unpack(reference.field)
    b = _undone(_unpack(current.field), at.zoom, at.rotation_deg, shift=(at.shift_x, at.shift_y))
    both = np.dstack([(np.conj(a) * b).real, np.abs(a) * np.abs(b)]).astype(np.float32)
    parts = cv2.resize(both, COARSE_GRID[::-1], interpolation=cv2.INTER_AREA)
    # 0.06: a sum of 1.5 full edges over the 25 cells of a part, so that noise alone is no agreement
    return int(np.count_nonzero((parts[..., 0] > 0.3 * parts[..., 1]) & (parts[..., 0] > 0.06)))


def _undone(
    current: NDArray[np.complex64], zoom: float, rotation_deg: float, *, shift: tuple[float, float] = (0, 0)
) -> NDArray[np.complex64]:
    """The field before it was turned and zoomed, then shifted (share of width and height)."""
    if (zoom, rotation_deg, *shift) == (1.0, 0.0, 0.0, 0.0):
        return current
    h, w = current.shape
    # cells are square only in 16:9 pictures; for small turns of others the error stays below a cell
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), rotation_deg, 1 / zoom)
    matrix[:, 2] -= (shift[0] * w, shift[1] * h)
    flat = np.dstack([current.real, current.imag])
    parts = cv2.warpAffine(flat, matrix, (w, h), flags=cv2.INTER_LINEAR)
    turn = np.exp(-2j * math.radians(rotation_deg))
    return np.asarray((parts[..., 0] + 1j * parts[..., 1]) * turn, np.complex64)


def _align(
    spectrum: NDArray[np.complex64], current: NDArray[np.complex64], zoom: float, rotation_deg: float
) -> tuple[_Alignment, _Alignment]:
    """Undo zoom and rotation of the current field, then correlate: the best near shift, the best shift."""
    h, w = current.shape
    cross = spectrum * np.fft.fft2(_undone(current, zoom, rotation_deg), _PAD)
    cross /= np.abs(cross) ** _WHITEN + 1e-9
    surface = np.fft.ifft2(cross).real
    deviation = float(surface.std()) + 1e-12
    found = []
    for where in (np.where(_window(h, w), surface, -np.inf), surface):
        k = int(where.argmax())
        dy, dx = ((i + p // 2) % p - p // 2 for i, p in zip(divmod(k, _PAD[1]), _PAD, strict=True))
        found.append(_Alignment(float(where.flat[k]) / deviation, dx / w, dy / h, rotation_deg, zoom))
    return found[0], found[1]
