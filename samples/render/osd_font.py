"""The dot-matrix letters of on-screen displays: five by seven dots, as character generators have them.

Not OpenCV's letters, because those differ between its versions and the tests read the clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Five columns a letter, the lowest bit on top.
_COLUMNS = {
    " ": "0000000000", "-": "0808080808", ".": "0060600000", "/": "2010080402", ":": "0036360000",
    "0": "3E5149453E", "1": "00427F4000", "2": "4261514946", "3": "2141454B31", "4": "1814127F10",
    "5": "2745454539", "6": "3C4A494930", "7": "0171090503", "8": "3649494936", "9": "064949291E",
    "A": "7E1111117E", "B": "7F49494936", "C": "3E41414122", "D": "7F4141221C", "E": "7F49494941",
    "F": "7F09090901", "G": "3E4149497A", "H": "7F0808087F", "I": "00417F4100", "J": "2040413F01",
    "K": "7F08142241", "L": "7F40404040", "M": "7F020C027F", "N": "7F0408107F", "O": "3E4141413E",
    "P": "7F09090906", "Q": "3E4151215E", "R": "7F09192946", "S": "4649494931", "T": "01017F0101",
    "U": "3F4040403F", "V": "1F2040201F", "W": "3F4038403F", "X": "6314081463", "Y": "0708700807",
    "Z": "6151494543",
}  # fmt: skip


def draw(text: str, scale: int = 2) -> npt.NDArray[np.float32]:
    """The text in capitals as a mask [7 * scale, 6 * scale * len] of 0 and 1.

    Raises KeyError for a letter that is not there.
    """
    columns = [int(c) for letter in text.upper() for c in (*bytes.fromhex(_COLUMNS[letter]), 0)]
    dots = [[column >> row & 1 for column in columns] for row in range(7)]
    return np.kron(np.array(dots, np.float32), np.ones((scale, scale), np.float32))
