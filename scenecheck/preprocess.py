"""Pictures to tiles: one batch of ``uint8 [N, 3, H, W]`` RGB, the only thing a model ever sees.

Route. Each plane is shrunk by area averaging at its own resolution and only the small planes are
turned into RGB. Averaging and the YUV matrix are both linear, so this equals converting every pixel
first (but for clipping and the rounding of the small planes) at a fraction of the cost. 320x180
divides every common camera size and its 4:2:0 chroma, where area averaging is an exact box mean and
gives the same bytes on every machine.

The whole picture is stretched to the tile: nothing at the edges goes unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scenecheck.types import Matrix, Picture

PREPROCESS_VERSION = 1
"""Raised by every change that alters a tile; the model card names the one it was trained with."""

TILE_SIZE = (180, 320)
"""Height and width in pixels of the bundled model's tile."""

# Luma weights Kr, Kb of ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance).
_LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}


def _rgb_matrix(matrix: Matrix, full_range: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Affine map from 8-bit (Y, U, V) to RGB as ``M [3, 3]`` and ``b [3, 1]``."""
    kr, kb = _LUMA_WEIGHTS[matrix]
    kg = 1.0 - kr - kb
    luma_gain, chroma_gain, luma_offset = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    m = np.array(
        [
            [1.0, 0.0, 2 * (1 - kr)],
            [1.0, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1.0, 2 * (1 - kb), 0.0],
        ]
    ) * [luma_gain, chroma_gain, chroma_gain]
    b = -m @ np.array([[luma_offset], [128.0], [128.0]])
    return m.astype(np.float32), b.astype(np.float32)


_RGB_MATRICES = {(m, full): _rgb_matrix(m, full) for m in _LUMA_WEIGHTS for full in (False, True)}


def _shrink(plane: NDArray[np.uint8] | NDArray[np.uint16], out: NDArray[np.uint8], bits: int) -> None:
    """Area-average one plane ``[h, w]`` into ``out`` ``uint8 [H, W]``; deep samples are scaled to 8 bit."""
    height, width = out.shape
    if plane.dtype == np.uint8:
        result = cv2.resize(plane, (width, height), dst=out, interpolation=cv2.INTER_AREA)
        if result is not out:  # OpenCV allocates its own when it does not like ours
            np.copyto(out, result)
        return
    # Scaling after the average keeps the fractions that deep samples exist for.
    small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    np.copyto(out, np.rint(np.clip(small / float(1 << (bits - 8)), 0, 255)).astype(np.uint8))


def _fill(picture: Picture, out: NDArray[np.uint8]) -> None:
    """Write the shrunk planes of one picture into ``out`` ``uint8 [3, H, W]``: YUV, or RGB for ``bgr``."""
    planes, height, width = picture.planes, out.shape[1], out.shape[2]
    if picture.layout == "bgr":
        small = cv2.resize(planes[0], (width, height), interpolation=cv2.INTER_AREA)
        out[:] = small[:, :, ::-1].transpose(2, 0, 1)
        return
    _shrink(planes[0], out[0], picture.bits)
    if picture.layout == "gray":
        out[1:] = 128
    elif picture.layout == "nv12":
        small = cv2.resize(planes[1], (width, height), interpolation=cv2.INTER_AREA)
        if planes[1].dtype != np.uint8:
            small = np.rint(small.astype(np.float32) / float(1 << (picture.bits - 8)))
        out[1:] = small.transpose(2, 0, 1)
    else:
        _shrink(planes[1], out[1], picture.bits)
        _shrink(planes[2], out[2], picture.bits)


def tiles(pictures: Sequence[Picture], size: tuple[int, int] = TILE_SIZE) -> NDArray[np.uint8]:
    """Turn pictures of any size and layout into one batch of tiles.

    ``size`` is (H, W) in pixels. Returns ``uint8 [N, 3, H, W]``, RGB, N = 0 allowed. A picture's
    tile is the same bytes alone and in any batch.
    """
    height, width = size
    batch = np.empty((len(pictures), 3, height, width), np.uint8)
    for out, picture in zip(batch, pictures, strict=True):
        _fill(picture, out)
    yuv = [i for i, picture in enumerate(pictures) if picture.layout != "bgr"]
    if not yuv:
        return batch
    affine = [_RGB_MATRICES[pictures[i].matrix, pictures[i].full_range] for i in yuv]
    m, b = np.stack([a[0] for a in affine]), np.stack([a[1] for a in affine])
    # One [3, 3] @ [3, H*W] product per picture, so the sum's order never depends on the batch.
    flat = batch if len(yuv) == len(pictures) else batch[yuv]
    rgb = np.matmul(m, flat.reshape(len(yuv), 3, -1).astype(np.float32))
    rgb += b
    np.rint(rgb, out=rgb)
    np.clip(rgb, 0, 255, out=rgb)
    converted = rgb.astype(np.uint8).reshape(len(yuv), 3, height, width)
    if len(yuv) == len(pictures):
        return converted
    batch[yuv] = converted
    return batch
