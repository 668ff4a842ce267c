"""Write the golden answers anew: what the samples' tiles and scores are with the code and runtime of now.

    python -m training.golden [--check]

Into the cards in models/ go each still's hash, tile hash, logits and probability and the known answers; into
tests/golden/clips.json the tile hashes of each clip's frames. The models stay as they are, no torch is needed.
Run it after a change of tiles, samples or decoder that is meant (and raise `PREPROCESS_VERSION` for one of
tiles); what moved is printed and belongs into the commit's message. ``--check`` writes nothing and fails where
anything would move by more than a card tolerates.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenecheck.card import Card, load_card
from scenecheck.classifier import tile_sha256
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import PREPROCESS_VERSION, tiles
from scenecheck.runtime import execution_provider, open_session, run_session
from scenecheck.source import SourceOptions, open_source

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
CLIPS = ROOT / "tests" / "golden" / "clips.json"
CLIP_FRAMES = 5


def still_tiles(samples: Path, size: tuple[int, int]) -> dict[str, tuple[bytes, NDArray[np.uint8]]]:
    """Bytes and tile ``uint8 [3, H, W]`` of each still, by its path in a card."""
    files = sorted(samples.glob("*.jpg"))
    data = [f.read_bytes() for f in files]
    batch = tiles([decode_picture(d, f.name) for d, f in zip(data, files, strict=True)], size)
    return {f"samples/{f.name}": (d, t) for f, d, t in zip(files, data, batch, strict=True)}


def clip_hashes(samples: Path) -> dict[str, list[str]]:
    """Hashes of the tiles of the frames that are sampled from each clip."""
    found = {}
    for file in sorted(samples.glob("*.mp4")):
        with open_source(file, SourceOptions(frames=CLIP_FRAMES)) as source:
            found[file.name] = [tile_sha256(tiles([frame.picture])[0]) for frame in source]
    return found


def answered(path: Path, samples: Path) -> tuple[dict[str, Any], bytes]:
    """The card of ``path`` with today's answers, and its known tiles as the bytes of an .npz."""
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    spec = card["input"]
    stills = still_tiles(samples, (spec["height"], spec["width"]))
    model = (path.parent / card["file"]).read_bytes()
    session = open_session(model, path, execution_provider("cpu"), threads=1)
    batch = np.stack([tile for _, tile in stills.values()])
    logits = run_session(session, ["logits"], {"tiles": batch}, path)[0].astype(float)
    judge = Card.model_construct(temperature=card["temperature"])
    answers = {
        name: {
            "tile_sha256": tile_sha256(tile),
            "logits": [round(v, 6) for v in pair],
            "p_indoor": round(judge.p_indoor(*pair), 6),
        }
        for (name, (_, tile)), pair in zip(stills.items(), logits.tolist(), strict=True)
    }
    card["samples"] = [
        {"path": name, "picture_sha256": hashlib.sha256(data).hexdigest(), **answers[name]}
        for name, (data, _) in stills.items()
    ]
    known = [a["name"] for a in card["known_answers"]["answers"]]
    archive = io.BytesIO()
    np.savez_compressed(archive, tiles=np.stack([stills[name][1] for name in known]))
    card["known_answers"]["answers"] = [{"name": name, **answers[name]} for name in known]
    spec["preprocess_version"] = PREPROCESS_VERSION
    return card, archive.getvalue()


def moved(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """A line for each sample whose tile changed, or whose logits did beyond the card's tolerance."""
    tolerance = old["known_answers"]["tolerance_logit"]
    then = {s["path"]: s for s in old["samples"]}
    lines = [f"{name}: no longer there" for name in sorted(then.keys() - {s["path"] for s in new["samples"]})]
    for s in new["samples"]:
        before = then.get(s["path"])
        if before is None:
            lines.append(f"{s['path']}: new, {s['p_indoor']:.4f} indoor")
            continue
        shift = max(abs(a - b) for a, b in zip(s["logits"], before["logits"], strict=True))
        if s["tile_sha256"] != before["tile_sha256"] or shift > tolerance:
            what = "another tile, " if s["tile_sha256"] != before["tile_sha256"] else ""
            lines.append(
                f"{s['path']}: {what}{before['p_indoor']:.4f} indoor before, {s['p_indoor']:.4f} now"
            )
    return lines


def main(argv: list[str] | None = None) -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--check", action="store_true", help="write nothing; fail where something would move")
    ap.add_argument("--models", type=Path, default=ROOT / "models")
    ap.add_argument("--samples", type=Path, default=SAMPLES)
    ap.add_argument("--clips", type=Path, default=CLIPS)
    a = ap.parse_args(argv)
    n_moved = 0
    for path in sorted(
        p for p in a.models.glob("*.json") if '"scenecheck/model-card/1"' in p.read_text()[:200]
    ):
        old = json.loads(path.read_text(encoding="utf-8"))
        card, archive = answered(path, a.samples)
        lines = moved(old, card)
        n_moved += len(lines)
        for line in lines:
            print(f"{path.name}: {line}")
        if lines and not a.check:
            (path.parent / card["known_answers"]["file"]).write_bytes(archive)
            card["known_answers"]["sha256"] = hashlib.sha256(archive).hexdigest()
            path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
            load_card(path)
    hashes = clip_hashes(a.samples)
    text = json.dumps({"preprocess_version": PREPROCESS_VERSION, "clips": hashes}, indent=1) + "\n"
    if not a.clips.is_file() or a.clips.read_text(encoding="utf-8") != text:
        n_moved += 1
        print(f"{a.clips.name}: other tiles of clips")
        if not a.check:
            a.clips.parent.mkdir(exist_ok=True)
            a.clips.write_text(text, encoding="utf-8")
    return 1 if n_moved and a.check else 0


if __name__ == "__main__":
    sys.exit(main())
