"""Made-up cameras whose rooms are bright and streets dark, and models that know where the border lies."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.adapters import colour_onnx, write_adapter

SLOPE = 0.15
"""Log-odds a grey level: 10 levels from a model's border make it sure."""

BRIGHTNESS = {
    **{f"room-{i}": 170 + 5 * i for i in range(4)},
    "cellar": 140,  # the darkest room: a model whose border creeps up loses it first
    **{f"street-{i}": 85 - 5 * i for i in range(5)},
}


def write_cameras(folder: Path) -> Path:
    """Two pictures of each camera and their manifest ``cameras.csv``; returns its path."""
    rows = ["path,label,group,flags"]
    for seed, (group, level) in enumerate(BRIGHTNESS.items()):
        label = "street" if group.startswith("street") else "indoor"
        for i in range(2):
            path = folder / label / group / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng((seed, i))
            blocks = np.kron(rng.integers(-45, 46, (9, 16, 1)), np.ones((20, 20, 1)))
            texture = level + blocks + rng.integers(-12, 13, (180, 320, 1))
            picture = np.clip(texture - texture.mean() + level, 0, 255).repeat(3, axis=2).astype(np.uint8)
            cv2.imwrite(str(path), picture)
            rows.append(f"{path.relative_to(folder)},{label},{group},{'night' if level < 80 else 'day'}")
    manifest = folder / "cameras.csv"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


def write_model(folder: Path, name: str = "model", *, border: float = 125.0, version: str = "1") -> Path:
    """A model to which everything brighter than ``border`` is a room, as ``<name>/other.json``; returns that path."""
    model = colour_onnx([[SLOPE / 3]] * 3, [-SLOPE * border])
    output = {"n": 1, "indoor": [0]}
    return write_adapter(folder / name, model, output=output, name="brightness", version=version)
