"""The values that travel along the path: frozen, without I/O and without a clock.

Shapes use N for a batch, H and W for the height and width of a tile in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Layout = Literal["bgr", "gray", "yuv", "nv12"]
Matrix = Literal["bt601", "bt709", "bt2020"]


class Label(StrEnum):
    """What a view is: proven a street, an interior, or honestly neither."""

    STREET = "street"
    INDOOR = "indoor"
    UNKNOWN = "unknown"


class Condition(StrEnum):
    """A reason why a frame is no evidence about where its camera looks."""

    DARK = "dark"
    BRIGHT = "bright"
    BLURRED = "blurred"
    FROZEN = "frozen"
    FLAT = "flat"
    DAMAGED = "damaged"
    STALE = "stale"
    OUT_OF_SCOPE = "out-of-scope"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Samples of one picture as the decoder delivered them, before any conversion.

    ``planes`` holds, by ``layout``: ``bgr`` one array ``[h, w, 3]``; ``gray`` one ``[h, w]``;
    ``yuv`` three (Y at full size, U and V at the chroma size); ``nv12`` two (Y ``[h, w]`` and
    interleaved UV ``[h/2, w/2, 2]``). Samples are ``uint8``, or ``uint16`` holding ``bits``
    significant low bits. ``matrix`` and ``full_range`` say how luma and chroma become RGB; they
    mean nothing for ``bgr``.
    """

    planes: tuple[NDArray[np.uint8] | NDArray[np.uint16], ...]
    layout: Layout
    bits: int = 8
    matrix: Matrix = "bt601"
    full_range: bool = False

    @property
    def width_px(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height_px(self) -> int:
        return int(self.planes[0].shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source, and when and how it came.

    ``at_s`` is the presentation time within the source (seconds, 0 at its first frame),
    ``arrived_s`` the monotonic time of arrival here. A frame that ``is_damaged`` or ``is_stale`` is
    delivered so that it can be counted; it is never evidence. ``is_live`` frames come from something
    that can freeze, still pictures do not.
    """

    picture: Picture
    at_s: float
    arrived_s: float
    is_key: bool = True
    is_damaged: bool = False
    is_stale: bool = False
    is_live: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the classifier says of N tiles, in the order of the tiles.

    ``p_indoor`` ``float64 [N]`` in 0..1, calibrated; ``logits`` ``float32 [N, 2]`` (street, indoor);
    ``embedding`` ``float32 [N, D]``; ``cam`` ``float32 [N, 2, h, w]``, the class-activation maps
    (Zhou et al., 2016, "Learning Deep Features for Discriminative Localization"); ``is_novel`` ``bool [N]``,
    too unlike all that the model was made for (never true of a model whose card says nothing of scope).
    """

    p_indoor: NDArray[np.float64]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    cam: NDArray[np.float32]
    is_novel: NDArray[np.bool_]

    def conditions(self, at: int) -> frozenset[Condition]:
        """What speaks against tile ``at`` as evidence by the model's own account."""
        return frozenset({Condition.OUT_OF_SCOPE} if self.is_novel[at] else ())

    def __len__(self) -> int:
        return len(self.p_indoor)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One judged frame: its time in the source (s), its score and what speaks against it."""

    at_s: float
    p_indoor: float
    conditions: frozenset[Condition] = frozenset()

    @property
    def is_evidence(self) -> bool:
        return not self.conditions


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Operating points of a model card: ``street`` at or below, ``indoor`` at or above."""

    street_below: float
    indoor_above: float

    def __post_init__(self) -> None:
        if not 0.0 < self.street_below < self.indoor_above < 1.0:
            raise ValueError(
                "thresholds: expected 0 < street_below < indoor_above < 1, "
                f"got {self.street_below} and {self.indoor_above}"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What several frames prove. ``p_indoor`` is None when there was no evidence at all.

    ``is_certain`` says that more frames of the same kind would not change the label, so that a
    caller may stop looking.
    """

    label: Label
    reason: str
    p_indoor: float | None
    sightings: tuple[Sighting, ...] = field(default=())
    is_certain: bool = False
