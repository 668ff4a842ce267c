"""Do conditions throw away evidence, and do they catch what is none?

Prints how many real CCTV stills each condition discards (none should be: night and fog are evidence),
and what is found in pictures that show nothing: black, covered, white, signal-less, out of focus.

    python -m benchmarks.conditions FOLDER_WITH_manifest.csv [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from scenecheck.conditions import conditions
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import picture_from_bgr, tiles
from scenecheck.types import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 1080, 1920
MAX_FALSE_SHARE = 0.005
DEFOCUS_PX = (12.0, 18.0, 30.0)
N_DEFOCUSED = 60


def _flat(blue: float, green: float, red: float) -> NDArray[np.float32]:
    return np.full((HEIGHT, WIDTH, 3), (blue, green, red), np.float32)


def _noise(rng: np.random.Generator, sigma: float) -> NDArray[np.float32]:
    return rng.normal(0, sigma, (HEIGHT, WIDTH, 3)).astype(np.float32)


def _card(colour: tuple[int, int, int], text: str, ink: tuple[int, int, int]) -> NDArray[np.float32]:
    picture = np.full((HEIGHT, WIDTH, 3), colour, np.uint8)
    cv2.putText(picture, text, (500, 560), cv2.FONT_HERSHEY_SIMPLEX, 5, ink, 12)
    return picture.astype(np.float32)


def as_recorded(picture: NDArray[np.float32], *, osd: bool = False) -> NDArray[np.uint8]:
    """Clip, burn name and clock in if asked, and send through JPEG: ``uint8 [h, w, 3]`` BGR."""
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    if osd:
        scale = pixels.shape[1] / WIDTH
        for text, at in (("2026-11-24 08:15:22 Cam 03", (0.02, 0.065)), ("Simpang", (0.8, 0.96))):
            where = (int(at[0] * pixels.shape[1]), int(at[1] * pixels.shape[0]))
            thickness = max(1, round(4 * scale))
            cv2.putText(pixels, text, where, cv2.FONT_HERSHEY_SIMPLEX, 2 * scale, (255, 255, 255), thickness)
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def defocus(picture: NDArray[np.uint8], sigma_px: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur by ``sigma_px`` at 1080p, then add sensor noise and a sharp OSD, as a camera does."""
    resized = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(resized.astype(np.float32), (0, 0), sigma_px)
    return as_recorded(soft + _noise(rng, 4), osd=True)


def nothing_to_see() -> dict[str, tuple[NDArray[np.uint8], frozenset[Condition]]]:
    """Pictures that show nothing, and at least one of what should be found in each."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)[..., None] / HEIGHT
    bars = _flat(0, 0, 0)
    for i, colour in enumerate(
        ((192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 192, 0), (192, 0, 192), (0, 0, 192), (192, 0, 0))
    ):
        bars[:, i * WIDTH // 7 : (i + 1) * WIDTH // 7] = colour
    dark, bright, flat, blurred = (
        frozenset({c}) for c in (Condition.DARK, Condition.BRIGHT, Condition.FLAT, Condition.BLURRED)
    )
    white_ink, grey_ink = (255, 255, 255), (90, 90, 90)
    vignette = 45 - 20 * ((y - 0.5) ** 2 + (x - 0.9) ** 2)
    scenes: dict[str, tuple[NDArray[np.float32], frozenset[Condition]]] = {
        "black": (_flat(0, 0, 0), dark),
        "black, video level": (_flat(16, 16, 16) + _noise(rng, 3), dark),
        "black, noise of gain": (_flat(12, 12, 12) + _noise(rng, 25), dark),
        "lens cap, gain up": (_flat(60, 60, 60) + _noise(rng, 20), flat),
        "lens cap, vignetting": (vignette + _noise(rng, 15), flat),
        "white": (_flat(255, 255, 255), bright),
        "white, noise": (_flat(245, 245, 245) + _noise(rng, 5), bright),
        "blue": (_flat(200, 40, 10), flat),
        "grey": (_flat(128, 128, 128), flat),
        "blue card": (_card((200, 40, 10), "NO SIGNAL", white_ink), flat),
        "grey card": (_card((128, 128, 128), "Video loss", white_ink), flat),
        "black card": (_card((0, 0, 0), "NO VIDEO", white_ink), flat),
        "dark card": (_card((30, 30, 30), "Camera offline", grey_ink), flat),
        "colour bars": (bars, flat),
        "tape on the lens": (_flat(60, 90, 120) + 20 * y + _noise(rng, 8), flat),
        "hand on the lens": (_flat(60, 70, 120) + 60 * y + 30 * x + _noise(rng, 4), blurred),
    }
    found = {}
    for name, (picture, expected) in scenes.items():
        found[name] = (as_recorded(picture), expected)
        found[f"{name}, with OSD"] = (as_recorded(picture, osd=True), expected)
    return found


def of_stills(pictures: list[NDArray[np.uint8]]) -> list[frozenset[Condition]]:
    """Conditions of pictures that have nothing to do with each other."""
    return [
        conditions(
            tiles([picture_from_bgr(picture)]), damaged=[False], stale=[False], live=[False], at_s=[0.0]
        )[0]
        for picture in pictures
    ]


def read_stills(manifest: Path) -> dict[str, NDArray[np.uint8]]:
    """The pictures of an evaluation manifest, by path."""
    with manifest.open(newline="", encoding="utf-8") as f:
        paths = [row["path"] for row in csv.DictReader(f)]
    pictures = {}
    for path in paths:
        planes = decode_picture((manifest.parent / path).read_bytes(), path).planes
        pictures[path] = np.asarray(planes[0], np.uint8)
    return pictures


def measure(manifest: Path) -> dict[str, Any]:
    """False shares on real stills, and what was caught of the pictures that show nothing."""
    stills = read_stills(manifest)
    found = of_stills(list(stills.values()))
    counts = Counter(condition for here in found for condition in here)
    rng = np.random.default_rng(2)
    some = [list(stills.values())[i] for i in rng.permutation(len(stills))[:N_DEFOCUSED]]
    defocused = {}
    for sigma_px in DEFOCUS_PX:
        seen = of_stills([defocus(picture, sigma_px, rng) for picture in some])
        defocused[f"{sigma_px:g} px"] = sum(Condition.BLURRED in here for here in seen) / len(seen)
    nothing = nothing_to_see()
    seen = of_stills([picture for picture, _ in nothing.values()])
    names_expected = [(name, expected) for name, (_, expected) in nothing.items()]
    missed = [
        name for here, (name, expected) in zip(seen, names_expected, strict=True) if not here & expected
    ]
    return {
        "benchmark": "conditions",
        "stills": len(stills),
        "discarded": {c.value: counts[c] for c in Condition if c in counts},
        "discarded_paths": [path for path, here in zip(stills, found, strict=True) if here],
        "nothing_to_see": {"n": len(nothing), "missed": missed},
        "defocused_caught": {"n": len(some), "share": defocused},
    }


def main() -> int:
    """Print the result; 1 when a condition discards more than half a percent or something is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds manifest.csv (path,label,…) and the pictures")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    result = measure(arguments.folder / "manifest.csv")
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"real stills: {result['stills']}, discarded: {result['discarded'] or 'none'}")
        for path in result["discarded_paths"]:
            print(f"  {path}")
        nothing, defocused = result["nothing_to_see"], result["defocused_caught"]
        n_caught = nothing["n"] - len(nothing["missed"])
        print(f"nothing to see: {n_caught} of {nothing['n']} caught", *nothing["missed"])
        for sigma, share in defocused["share"].items():
            print(f"defocused by {sigma} at 1080p: {share:.0%} of {defocused['n']} caught")
    worst = max(result["discarded"].values(), default=0) / result["stills"]
    is_met = worst <= MAX_FALSE_SHARE and not result["nothing_to_see"]["missed"]
    return 0 if is_met and min(result["defocused_caught"]["share"].values()) >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
