"""When the int8 model may stand in for the fp32 one: it must say the same on the host that uses it.

Integer kernels differ between CPUs, and one that saturates is silently wrong, so nothing measured where
the model was made is proof enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenecheck.card import Card

PRECISIONS = ("fp32", "int8")

MAX_INT8_SHIFT = 0.1
"""Most that p_indoor of a known answer may differ between int8 and fp32 on a host that uses int8. Twice
what quantisation does to a doubtful picture; kernels that saturate move confident ones much further."""


def int8_card_path(path: Path) -> Path:
    """The card of the int8 model that belongs to the fp32 model of card ``path``."""
    return path.with_name(f"{path.stem}-int8.json")


def disagreement(int8: Card, fp32: Card, p_here: dict[str, float]) -> str | None:
    """How int8, with ``p_here`` of tile hashes on this host, differs from fp32; None if too little to matter."""
    if (int8.model_extra or {}).get("quantisation", {}).get("of") != fp32.sha256:
        return f"{int8.file}: made of another fp32 model than {fp32.file}"
    for answer in fp32.known_answers.answers:
        p = p_here.get(answer.tile_sha256)
        if p is None:
            return f"{int8.file}: it does not know {answer.name}"
        if _side(p, int8) != _side(answer.p_indoor, fp32) or abs(p - answer.p_indoor) > MAX_INT8_SHIFT:
            return f"{int8.file}: {answer.name} is {p:.1%} indoor, by fp32 {answer.p_indoor:.1%}"
    return None


def _side(p_indoor: float, card: Card) -> int:
    """-1 street, 1 indoor, 0 between, by the card's thresholds."""
    return (p_indoor >= card.thresholds.indoor_above) - (p_indoor <= card.thresholds.street_below)


def has_vnni(root: Path = Path("/")) -> bool:
    """Whether the CPU is known to add products of uint8 and int8 in 32 bits; where nobody says, it is not.

    ``root`` is where ``proc`` is mounted.
    """
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "avx512_vnni" in flags or "avx_vnni" in flags
