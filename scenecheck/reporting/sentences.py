"""Findings and verdicts as sentences in either language, from kinds and fields: stored texts are English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scenecheck.records import FindingKind
from scenecheck.reporting.causes import CAUSES
from scenecheck.types import Condition, Label

if TYPE_CHECKING:
    from datetime import datetime

    from scenecheck.records import Finding, Result
    from scenecheck.view import Comparison

Language = Literal["en", "id"]

TITLES: dict[Language, dict[FindingKind, str]] = {
    "en": {
        FindingKind.NEWLY_INDOOR: "newly indoor",
        FindingKind.STILL_INDOOR: "still indoor",
        FindingKind.MOVED: "view moved",
        FindingKind.UNEXPECTED: "street, not indoor",
        FindingKind.COVERED: "covered or unclear",
        FindingKind.FROZEN: "frozen picture",
        FindingKind.NEWLY_UNREACHABLE: "newly unreachable",
        FindingKind.STILL_UNREACHABLE: "still unreachable",
        FindingKind.UNKNOWN: "not proven",
        FindingKind.RECOVERED: "street again",
    },
    "id": {
        FindingKind.NEWLY_INDOOR: "baru di dalam ruangan",
        FindingKind.STILL_INDOOR: "masih di dalam ruangan",
        FindingKind.MOVED: "arah pandang bergeser",
        FindingKind.UNEXPECTED: "jalan, bukan ruangan",
        FindingKind.COVERED: "tertutup atau tidak jelas",
        FindingKind.FROZEN: "gambar membeku",
        FindingKind.NEWLY_UNREACHABLE: "baru tak terjangkau",
        FindingKind.STILL_UNREACHABLE: "masih tak terjangkau",
        FindingKind.UNKNOWN: "belum terbukti",
        FindingKind.RECOVERED: "kembali ke jalan",
    },
}
"""What a finding is called."""

ADVICE: dict[Language, dict[FindingKind, str]] = {
    "en": {
        FindingKind.NEWLY_INDOOR: "Take it off the air now, then find out where this camera hangs.",
        FindingKind.STILL_INDOOR: "Keep it off the air; see who was sent, and hang it back.",
        FindingKind.MOVED: "Look at the picture: turn the camera back, or record the new view with scenecheck accept.",
        FindingKind.UNEXPECTED: "Look where this camera hangs, or correct expect: in the inventory.",
        FindingKind.COVERED: "Clean or uncover the lens, check light and infrared, then audit again.",
        FindingKind.FROZEN: "Restart the camera or its encoder, then audit again.",
        FindingKind.NEWLY_UNREACHABLE: "Check power, network and account; the reasons stand below.",
        FindingKind.STILL_UNREACHABLE: "Send somebody, or take it out of the inventory; the reasons stand below.",
        FindingKind.UNKNOWN: "Look at the picture yourself before it is published.",
        FindingKind.RECOVERED: "Nothing to repair: it may go on the air again.",
    },
    "id": {
        FindingKind.NEWLY_INDOOR: "Hentikan siarannya sekarang, lalu cari tahu di mana kamera ini terpasang.",
        FindingKind.STILL_INDOOR: "Tetap hentikan siarannya; tanyakan siapa yang ditugaskan, lalu pasang kembali.",
        FindingKind.MOVED: "Lihat gambarnya: arahkan kembali, atau catat pandangan baru dengan scenecheck accept.",
        FindingKind.UNEXPECTED: "Periksa di mana kamera ini terpasang, atau perbaiki expect: di inventaris.",
        FindingKind.COVERED: "Bersihkan atau buka lensa, periksa cahaya dan inframerah, lalu audit lagi.",
        FindingKind.FROZEN: "Nyalakan ulang kamera atau enkodernya, lalu audit lagi.",
        FindingKind.NEWLY_UNREACHABLE: "Periksa listrik, jaringan, dan akun; penyebabnya tertulis di bawah.",
        FindingKind.STILL_UNREACHABLE: "Kirim petugas, atau keluarkan dari inventaris; penyebabnya tertulis di bawah.",
        FindingKind.UNKNOWN: "Lihat sendiri gambarnya sebelum disiarkan.",
        FindingKind.RECOVERED: "Tidak perlu perbaikan: boleh disiarkan lagi.",
    },
}
"""What to do about a finding."""

_SEEN: dict[Language, dict[str, str]] = {
    "en": {
        "indoor": "Shows an interior ({share} indoor, {frames}).",
        "was-indoor": "Showed an interior, and nothing has proven a street since.",
        "recovered": "Shows the street again ({share} indoor, {frames}).",
        "unexpected": "Shows a street where an interior is expected ({share} indoor, {frames}).",
        "street": "Shows a street ({share} indoor, {frames}).",
        "moved": "No longer shows its view ({score} the same): {where}.",
        "still-moved": "Has not shown its old view again since it moved.",
        "frozen": "The picture stands still in {n} of {frames}.",
        "unknown": "Neither street nor interior is proven ({share} indoor, {frames}).",
        "no-evidence": "No frame was clear enough to judge ({frames}).",
        "against": "Against it: {conditions}.",
        "error": "{cause} ({code}).",
        "no-picture": "Not one picture came.",
    },
    "id": {
        "indoor": "Memperlihatkan bagian dalam ruangan ({share} ruangan, {frames}).",
        "was-indoor": "Pernah memperlihatkan bagian dalam ruangan, dan sejak itu belum terbukti jalan.",
        "recovered": "Memperlihatkan jalan kembali ({share} ruangan, {frames}).",
        "unexpected": "Memperlihatkan jalan, padahal seharusnya ruangan ({share} ruangan, {frames}).",
        "street": "Memperlihatkan jalan ({share} ruangan, {frames}).",
        "moved": "Tidak lagi memperlihatkan pandangannya ({score} sama): {where}.",
        "still-moved": "Sejak bergeser belum memperlihatkan pandangan lamanya.",
        "frozen": "Gambar diam pada {n} dari {frames}.",
        "unknown": "Belum terbukti jalan maupun ruangan ({share} ruangan, {frames}).",
        "no-evidence": "Tidak ada gambar yang cukup jelas untuk dinilai ({frames}).",
        "against": "Kendala: {conditions}.",
        "error": "{cause} ({code}).",
        "no-picture": "Tidak satu gambar pun diterima.",
    },
}

CONDITIONS: dict[Language, dict[Condition, str]] = {
    "en": {
        Condition.DARK: "dark",
        Condition.BRIGHT: "washed out",
        Condition.BLURRED: "blurred",
        Condition.FROZEN: "frozen",
        Condition.FLAT: "nothing to see",
        Condition.DAMAGED: "damaged",
        Condition.STALE: "late",
        Condition.OUT_OF_SCOPE: "unlike any street or room",
    },
    "id": {
        Condition.DARK: "gelap",
        Condition.BRIGHT: "terlalu terang",
        Condition.BLURRED: "buram",
        Condition.FROZEN: "membeku",
        Condition.FLAT: "kosong",
        Condition.DAMAGED: "rusak",
        Condition.STALE: "terlambat",
        Condition.OUT_OF_SCOPE: "tidak mirip jalan maupun ruangan",
    },
}

_WHERE: dict[Language, dict[str, str]] = {
    "en": {
        "middle": "what stood in its middle is now {far}",
        "unsaid": "how far cannot be said",
        "right": "{by} of the width to the right",
        "left": "{by} of the width to the left",
        "down": "{by} of the height down",
        "up": "{by} of the height up",
        "clockwise": "turned {by} clockwise",
        "anticlockwise": "turned {by} anticlockwise",
        "zoom": "{by} times as large",
    },
    "id": {
        "middle": "yang tadinya di tengah kini {far}",
        "unsaid": "sejauh apa tidak dapat dipastikan",
        "right": "{by} lebar gambar ke kanan",
        "left": "{by} lebar gambar ke kiri",
        "down": "{by} tinggi gambar ke bawah",
        "up": "{by} tinggi gambar ke atas",
        "clockwise": "berputar {by} searah jarum jam",
        "anticlockwise": "berputar {by} berlawanan arah jarum jam",
        "zoom": "{by} kali ukurannya",
    },
}


def sentence(result: Result, finding: Finding, language: Language) -> str:
    """A finding of a result for the person who acts on it."""
    match finding.kind.group:
        case "indoor":
            return _seen("indoor" if result.label is Label.INDOOR else "was-indoor", result, language)
        case "moved":
            return _moved(result.comparison, language)
        case "frozen":
            n = result.conditions.get(Condition.FROZEN, 0)
            return _SEEN[language]["frozen"].format(n=n, frames=_frames(result.n_frames, language))
        case "recovered" | "unexpected" as group:
            return _seen(group, result, language)
        case _:
            return reason(result, language)


def reason(result: Result, language: Language) -> str:
    """What a result rests on."""
    texts, parts = _SEEN[language], []
    if not result.is_unreachable:
        known = result.label.value if result.p_indoor is not None else "no-evidence"
        parts.append(_seen(known, result, language))
    if result.label is Label.UNKNOWN and result.conditions:
        ranked = sorted(result.conditions.items(), key=lambda item: (-item[1], item[0].value))
        words = ", ".join(f"{CONDITIONS[language][c]} ({n})" for c, n in ranked)
        parts.append(texts["against"].format(conditions=words))
    if result.error is not None and result.label is Label.UNKNOWN:
        code = result.error.code
        parts.append(texts["error"].format(cause=cause(code, language), code=code))
    return " ".join(parts) or texts["no-picture"]


def cause(code: str, language: Language) -> str:
    """What an error code means, in a few words; the code itself where it is not of a feed."""
    known = CAUSES.get(code)
    return code if known is None else known.words[language]


def advice_on(code: str, stored: str, language: Language) -> str:
    """What to try about an error code."""
    known = CAUSES.get(code)
    return stored if known is None or language == "en" else known.advice_id


def share(value: float, language: Language) -> str:
    """A share of 0..1 in per cent; never rounded to a certainty that it is not."""
    near_an_end = 0 < value < 0.01 or 0.99 < value < 1
    text = f"{value * 100:.{2 if near_an_end else 1}f}\u00a0%"
    return _decimal(text, language)


def _decimal(text: str, language: Language) -> str:
    return text if language == "en" else text.replace(".", ",")


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _seen(key: str, result: Result, language: Language) -> str:
    return _SEEN[language][key].format(
        share="?" if result.p_indoor is None else share(result.p_indoor, language),
        frames=_frames(result.n_frames, language),
    )


def _frames(n: int, language: Language) -> str:
    return f"{n} gambar" if language == "id" else f"{n} frame{'s' * (n != 1)}"


def _moved(comparison: Comparison | None, language: Language) -> str:
    texts = _SEEN[language]
    if comparison is None or comparison.same or comparison.witness == "none":
        return texts["still-moved"]
    far, words = _far(comparison, language), _WHERE[language]
    where = words["middle"].format(far=far) if far else words["unsaid"]
    return texts["moved"].format(score=share(comparison.score, language), where=where)


def _far(comparison: Comparison, language: Language) -> str:
    if comparison.shift_x is None or comparison.shift_y is None:
        return ""
    words, parts = _WHERE[language], []
    for shift, back, forth in ((comparison.shift_x, "left", "right"), (comparison.shift_y, "up", "down")):
        if abs(shift) >= 0.01:
            parts.append(words[forth if shift > 0 else back].format(by=f"{abs(shift) * 100:.0f}\u00a0%"))
    if comparison.rotation_deg:
        turn = "clockwise" if comparison.rotation_deg > 0 else "anticlockwise"
        parts.append(words[turn].format(by=f"{abs(comparison.rotation_deg):.0f}°"))
    if comparison.zoom is not None and abs(comparison.zoom - 1) >= 0.05:
        parts.append(words["zoom"].format(by=_decimal(f"{comparison.zoom:.2g}", language)))
    return ", ".join(parts)
