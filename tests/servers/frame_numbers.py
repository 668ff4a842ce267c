"""Frame numbers that survive compression: written into luma, read back from luma.

24 bits of number and a CRC-8 (polynomial 7, final xor 0x55) stand as 8 x 4 square cells, black 16
and white 235, inside a grey rim of 8 px at the top left. Only the inner half of a cell is read,
so ringing at its edges does not matter; anything between clearly black and clearly white is
refused instead of guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, ROWS = 8, 4
RIM_PX = 8
BLACK, WHITE, GREY = 16, 235, 126
REFUSE_FROM, REFUSE_TO = 90, 160


def cell_px_for(height_px: int) -> int:
    """Cell size that stays readable at low bit rates: 32 px from 720 lines on, else 16 px."""
    return 32 if height_px >= 720 else 16


def write_number(luma: NDArray[np.uint8], number: int, cell_px: int = 0) -> None:
    """Draw ``number`` (0 to 2**24 - 1) into ``luma`` ``[h, w]`` in place.

    Raises ValueError if the picture is too small for the pattern.
    """
    cell_px = cell_px or cell_px_for(luma.shape[0])
    height, width = ROWS * cell_px + 2 * RIM_PX, COLUMNS * cell_px + 2 * RIM_PX
    if luma.shape[0] < height or luma.shape[1] < width:
        raise ValueError(f"a frame number needs {width}x{height} px, the picture has {luma.shape[::-1]}")
    word = (number << 8) | _crc8(number)
    bits = [(word >> (31 - i)) & 1 for i in range(32)]
    grid = np.array(bits, np.uint8).reshape(ROWS, COLUMNS) * (WHITE - BLACK) + BLACK
    luma[:height, :width] = GREY
    cells = grid.repeat(cell_px, axis=0).repeat(cell_px, axis=1)
    luma[RIM_PX : height - RIM_PX, RIM_PX : width - RIM_PX] = cells


def read_number(luma: NDArray[Any], cell_px: int = 0) -> int | None:
    """The number in ``luma`` ``[h, w]`` (uint8, or uint16 of 10 bits), or None if unreadable.

    Without ``cell_px`` both usual sizes are tried, so a scaled-down picture needs it given.
    """
    for size in (cell_px,) if cell_px else (cell_px_for(luma.shape[0]), 16, 32):
        number = _read(luma, size)
        if number is not None:
            return number
    return None


def _read(luma: NDArray[Any], cell_px: int) -> int | None:
    height, width = ROWS * cell_px, COLUMNS * cell_px
    area = luma[RIM_PX : RIM_PX + height, RIM_PX : RIM_PX + width]
    if area.shape != (height, width):
        return None
    values = area.astype(np.float32) / (4 if luma.dtype == np.uint16 else 1)
    quarter = cell_px // 4
    cells = values.reshape(ROWS, cell_px, COLUMNS, cell_px)
    means = cells[:, quarter : cell_px - quarter, :, quarter : cell_px - quarter].mean(axis=(1, 3)).ravel()
    if ((means > REFUSE_FROM) & (means < REFUSE_TO)).any():
        return None
    word = int("".join("1" if mean > REFUSE_TO - 1 else "0" for mean in means), 2)
    number = word >> 8
    return number if _crc8(number) == word & 0xFF else None


def _crc8(number: int) -> int:
    crc = 0
    for byte in number.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0x55
