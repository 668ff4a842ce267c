"""Cycles: from a scene to the light that reaches the camera, still and moving."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bpy
import cv2
import numpy as np
import numpy.typing as npt
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from samples.render import rooms, streets  # noqa: F401  (they enter their scenes)
from samples.render.assets import Assets
from samples.render.catalogue import FPS, HEIGHT_PX, SEED, WIDTH_PX, Clip
from samples.render.kit import SCENES, Kit
from samples.render.stage import MARGIN, Mover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAD_PX = 16
_BEAM_M = 14.0
_STRIDE_M = 0.7

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Quality:
    """Cycles samples a pixel, rendered size over picture size, CPU threads."""

    samples: int = 24
    scale: float = 0.8
    threads: int = 1


@dataclass(frozen=True)
class Light:
    """Linear light of one view: `background` [h,w,3] float16, `frames` [n,h,w,3] of its clip, models seen."""

    background: npt.NDArray[np.float16]
    frames: npt.NDArray[np.float16]
    models: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Keep it, so that developing it again needs no rendering."""
        np.savez_compressed(path, background=self.background, frames=self.frames, models=list(self.models))

    @classmethod
    def load(cls, path: Path) -> Light:
        """Read what `save` wrote."""
        with np.load(path) as z:
            return cls(z["background"], z["frames"], tuple(str(m) for m in z["models"]))


def render(name: str, clip: Clip | None, quality: Quality, *, assets_dir: Path, work: Path) -> Light:
    """Build the scene `name` and render it, with its movers in it for each frame of `clip`.

    A clip's background has no mover; only the surroundings of each mover are rendered again.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    kit = Kit(Assets(assets_dir, work), SEED)
    SCENES[name](kit)
    _set_up(quality)
    background = _shoot(work / "light.exr")
    bpy.context.scene.cycles.samples = max(4, quality.samples // 2)  # moving things may be noisier
    frames = list(_frames(kit, clip, background, work)) if clip else []
    stack = np.array(frames, np.float16).reshape(-1, *background.shape)
    return Light(background.astype(np.float16), stack, tuple(sorted(kit.assets.used)))


def _set_up(quality: Quality) -> None:
    r, c = bpy.context.scene.render, bpy.context.scene.cycles
    r.engine = "CYCLES"
    r.resolution_x = round(WIDTH_PX * MARGIN * quality.scale / 2) * 2
    r.resolution_y = round(HEIGHT_PX * MARGIN * quality.scale / 2) * 2
    r.image_settings.file_format, r.image_settings.color_depth = "OPEN_EXR", "32"
    r.threads_mode, r.threads, r.use_persistent_data = "FIXED", quality.threads, True
    c.device, c.samples, c.seed = "CPU", quality.samples, 0
    c.use_adaptive_sampling, c.adaptive_threshold = True, 0.03
    c.use_denoising, c.denoiser, c.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"
    c.max_bounces, c.diffuse_bounces, c.glossy_bounces = 4, 3, 2
    c.transmission_bounces, c.transparent_max_bounces = 2, 8
    c.sample_clamp_indirect, c.caustics_reflective, c.caustics_refractive = 6.0, False, False


def _shoot(path: Path) -> npt.NDArray[np.float32]:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    width, height = image.size
    rgba = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(rgba)
    bpy.data.images.remove(image)
    return rgba.reshape(height, width, 4)[::-1, :, :3].copy()  # Blender's rows run upwards


def _frames(
    kit: Kit, clip: Clip, background: npt.NDArray[np.float32], work: Path
) -> Iterator[npt.NDArray[np.float32]]:
    cast = [(mover, _enter(kit, mover)) for mover in kit.movers]
    n = round(clip.seconds * FPS)
    for i in range(n):
        for mover, thing in cast:
            _move(mover, thing, i / (n - 1))
        bpy.context.view_layer.update()
        light = background
        windows = [_window(mover, thing, kit.assets.size_m(mover.model)) for mover, thing in cast]
        for box in filter(None, windows):
            light = _patched(light, box, work)
        yield light


def _patched(light: npt.NDArray[np.float32], box: Box, work: Path) -> npt.NDArray[np.float32]:
    h, w = light.shape[:2]
    x0, x1, y0, y1 = box  # Blender counts rows from below
    r = bpy.context.scene.render
    r.use_border, r.use_crop_to_border = True, False
    r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = x0 / w, x1 / w, y0 / h, y1 / h
    patch = _shoot(work / "patch.exr")
    soft = np.zeros((h, w), np.float32)
    top, left = (0 if y1 == h else h - y1 + 5), (0 if x0 == 0 else x0 + 5)
    soft[top : h if y0 == 0 else h - y0 - 5, left : w if x1 == w else x1 - 5] = 1
    soft = cv2.blur(soft, (9, 9))[..., None]
    return light * (1 - soft) + patch * soft


def _enter(kit: Kit, mover: Mover) -> bpy.types.Object:
    thing = kit.put(mover.model, *mover.start, mover.heading_deg, tint=mover.tint)
    if mover.headlights:
        width, depth, _ = kit.assets.size_m(mover.model)
        front, side = -depth / 2, 0.36 * width
        glass = kit.mat((1, 0.93, 0.8), emit=25.0, dirt=0)
        for s in (-1, 1):
            bulb = kit.box(s * side, front - 0.01, 0.62, 0.22, 0.05, 0.13, glass)
            at = (s * side, front - 0.1, 0.68)
            beam = kit.lamp(
                "SPOT", at, 420, (1, 0.9, 0.74), size=0.05, look=(at[0], at[1] - 6, 0.1), angle=60
            )
            bulb.parent = beam.parent = thing
    return thing


def _move(mover: Mover, thing: bpy.types.Object, t: float) -> None:
    x, y = (a + (b - a) * t for a, b in zip(mover.start, mover.end, strict=True))
    z, sway = 0.0, 0.0
    if mover.walks:
        steps = math.dist(mover.start, mover.end) * t / _STRIDE_M
        z, sway = 0.03 * abs(math.sin(math.pi * steps)), 4.0 * math.sin(math.pi * steps)
    thing.location = (x, y, z)
    thing.rotation_euler[2] = math.radians(mover.heading_deg + sway)


def _window(mover: Mover, thing: bpy.types.Object, size_m: tuple[float, float, float]) -> Box | None:
    """Pixel box of a mover and its shadow or beam; None when out of the picture."""
    s = bpy.context.scene
    w, h = s.render.resolution_x, s.render.resolution_y
    half_x, half_y, height = size_m[0] / 2, size_m[1] / 2, size_m[2]
    around = [(x, y, z) for x in (-half_x, half_x) for y in (-half_y, half_y) for z in (0, height)]
    corners = [thing.matrix_world @ Vector(c) for c in around]
    foot = thing.location
    for dx in (-mover.shadow_m, mover.shadow_m):
        corners += [Vector((foot.x + dx, foot.y + dy, 0)) for dy in (-mover.shadow_m, mover.shadow_m)]
    if mover.headlights:
        corners += [thing.matrix_world @ Vector((dx, -_BEAM_M, 0)) for dx in (-2.5, 2.5)]
    points = [p for p in (world_to_camera_view(s, s.camera, c) for c in corners) if p.z > 0]
    if not points:
        return None
    xs, ys = [p.x * w for p in points], [p.y * h for p in points]
    x0, x1 = max(0, min(xs) - _PAD_PX), min(w, max(xs) + _PAD_PX)
    y0, y1 = max(0, min(ys) - _PAD_PX), min(h, max(ys) + _PAD_PX)
    return None if x1 - x0 < 16 or y1 - y0 < 16 else (int(x0), int(x1), int(y0), int(y1))
