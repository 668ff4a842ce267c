"""Render `samples/`: stills, clips, manifest and credits.

    python -m samples.render --assets DIR --out samples                   everything
    python -m samples.render --assets DIR --out DIR --only junction       one view
    python -m samples.render ... --light DIR                              keep the rendered light and reuse it

Needs Python 3.11, the packages in requirements.txt beside this file (bpy is Blender) and, in --assets, the
*.sh3f archives of Debian's package sweethome3d-furniture. The same versions give the same pictures on one
machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from pathlib import Path

import cv2
import numpy as np

from samples.render import camera
from samples.render.assets import Assets
from samples.render.catalogue import FPS, VIEWS, View, read_manifest, rows, write_manifest
from samples.render.light import Light, Quality, render

_JPEG_QUALITY = 90


def main() -> None:
    """Render the chosen views, then rewrite the manifest and the credits."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    quality = Quality(args.samples, args.scale, args.threads)
    only = set(args.only.split(",")) if args.only else {v.scene for v in VIEWS}
    views = [v for v in VIEWS if v.scene in only]
    if unknown := only - {v.scene for v in views}:
        raise SystemExit(
            f"no view {', '.join(sorted(unknown))}; there are {', '.join(v.scene for v in VIEWS)}"
        )
    manifest = read_manifest(args.out) if args.only else {}
    for view in views:
        begin = time.monotonic()
        light = _light(view, quality, assets_dir=args.assets, keep=args.light)
        develop(view, light, args.out)
        manifest |= {row["path"]: row for row in rows(view, light.models)}
        print(f"{view.scene}: {time.monotonic() - begin:.0f} s", flush=True)
    write_manifest(args.out, manifest)
    seen = {model for row in manifest.values() for model in row["models"].split()}
    Assets(args.assets, Path()).write_attribution(args.out, seen)


def develop(view: View, light: Light, out: Path) -> None:
    """Write the still and the clip of a view from its rendered light."""
    seed = zlib.crc32(view.scene.encode())
    rng = np.random.default_rng(seed)
    barrel = float(rng.uniform(0.08, 0.18))  # no two cameras have the same lens

    def shot(linear: np.ndarray) -> camera.Rgb:
        return camera.shot(linear.astype(np.float32), view.look, key=view.key, barrel=barrel, rng=rng)

    for name, _ in view.outputs():
        if name.endswith(".jpg"):
            rgb = shot(light.background)
            if view.osd_on_still:
                rgb = camera.overlay(rgb, view.osd)
            rgb = camera.through_h264(rgb)
            cv2.imwrite(str(out / name), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        elif view.clip:
            frames = [camera.overlay(shot(f), view.osd, i / FPS) for i, f in enumerate(light.frames)]
            camera.encode(frames, out / name, gop=view.clip.gop_s * FPS)


def _light(view: View, quality: Quality, *, assets_dir: Path, keep: Path | None) -> Light:
    kept = keep / f"{view.scene}.npz" if keep else None
    if kept and kept.exists():
        return Light.load(kept)
    with tempfile.TemporaryDirectory() as work:
        light = render(view.scene, view.clip, quality, assets_dir=assets_dir, work=Path(work))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        light.save(kept)
    return light


def _arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", type=Path, required=True, help="folder with the *.sh3f archives")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--only", help="comma-separated views")
    p.add_argument("--light", type=Path, help="keep rendered light here, and reuse what is here")
    p.add_argument("--samples", type=int, default=Quality.samples, help="Cycles samples a pixel")
    p.add_argument(
        "--scale", type=float, default=Quality.scale, help="rendered over shown size: softer, faster"
    )
    p.add_argument("--threads", type=int, default=Quality.threads)
    return p.parse_args()


if __name__ == "__main__":
    main()
