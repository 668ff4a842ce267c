"""Render training views: `python -m training.render --assets DIR --out DIR --layouts 150`.

Runs in the environment of samples/render/requirements.txt (Blender's module). Writes pictures and, as each place is
done, its rows of `manifest.csv`; a run may be stopped and continued, places in the manifest are skipped. A place is
one group; its two or three cameras share furniture, people and light.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector

from samples.render.assets import Assets
from samples.render.camera import develop
from training.render.kinds import INDOOR, OUTDOOR
from training.render.parts import Place

COLUMNS = ("path", "label", "kind", "group", "source", "licence", "flags")
LICENCE = "own rendering; 3D models CC0, CC-BY 3.0 (sweethome3d-furniture)"
SIZES = ((352, 198), (352, 198), (304, 228), (264, 264))
_CROPPED = 344  # a fisheye rendered this large is cropped to inside its circle of light


@dataclass(frozen=True)
class View:
    """One camera: `how` is corner, down or fisheye; angles in degrees."""

    at: tuple[float, float, float]
    look: tuple[float, float, float]
    how: str
    fov: float
    roll: float
    size: tuple[int, int]

    def pose(self) -> Matrix:
        """Rotation from camera to world."""
        toward = (Vector(self.look) - Vector(self.at)).to_track_quat("-Z", "Y").to_matrix()
        return toward @ Matrix.Rotation(math.radians(self.roll), 3, "Z")


def main() -> None:
    """Render places until `--layouts` numbers are done, indoors and outdoors in turn."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    manifest = args.out / "manifest.csv"
    if not manifest.exists():
        manifest.write_text(",".join(COLUMNS) + "\n")
    with manifest.open(newline="") as f:
        done = {row["group"] for row in csv.DictReader(f)}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _set_up(args.samples)
    with tempfile.TemporaryDirectory() as work:
        assets = Assets(args.assets, Path(work))
        for number in range(args.first, args.first + args.layouts):
            kinds = (INDOOR, OUTDOOR)[number % 2]
            kind = kinds[number // 2 % len(kinds)]
            group, begin = f"rendered-{kind.__name__}-{number}", time.process_time()
            if group not in done and (not args.only or kind.__name__ in args.only):
                rows = render(kind, group, assets, args.out)
                with manifest.open("a", newline="") as f:
                    csv.DictWriter(f, COLUMNS, lineterminator="\n").writerows(rows)
                print(f"{group}: {len(rows)} pictures, {time.process_time() - begin:.1f} CPU s", flush=True)


def render(kind, group: str, assets: Assets, out: Path) -> list[dict[str, str]]:
    """Build one place, light it, look at it from several cameras; gives the manifest's rows."""
    seed = zlib.crc32(group.encode())
    place, rng, rows = Place(assets, seed), np.random.default_rng(seed), []
    kind(place)
    light = _light(place)
    for view in _views(place):
        lamp = _aim(place, view, light)
        rgb = photo(_shoot(assets.work / "light.exr"), light, rng)
        if lamp:
            bpy.data.objects.remove(lamp)
        path, label = f"{group}-{len(rows)}.webp", "indoor" if place.indoor else "street"
        cv2.imwrite(str(out / path), rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 90])
        flags = " ".join(filter(None, (place.flags, light, view.how)))
        row = (path, label, kind.__name__, group, "rendered", LICENCE, flags)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    _clear()
    return rows


# ---------------------------------------------------------------- light
def _light(p: Place) -> str:
    """Light the place; gives sun, grey, lamps or ir."""
    r = p.rng
    light = r.choices(("sun", "grey", "lamps", "ir"), (0.42, 0.2, 0.23, 0.15))[0]
    if light == "sun":
        p.sunny_sky(sun=r.uniform(18, 70), turn=r.uniform(0, 360), strength=r.uniform(0.8, 1.3))
    elif light == "grey":
        p.grey_sky(strength=r.uniform(0.6, 1.2))
    else:
        glow = 0.0006 if light == "ir" else r.uniform(0.003, 0.02)
        p.dark_sky((glow, glow, glow * 1.4))
    if p.indoor and light in ("sun", "grey"):
        for sill, size, inward in p.openings:  # a lamp in each window helps Cycles to find the daylight
            at = tuple(a + 0.25 * n for a, n in zip(sill, inward, strict=True))
            look = tuple(a + n for a, n in zip(at, inward, strict=True))
            p.lamp("AREA", at, r.uniform(14, 26) * size * size, (0.92, 0.96, 1), size=size * 0.8, look=look)
    lit = light == "lamps" or (light != "ir" and (not p.openings or r.random() < 0.6))
    if p.indoor and lit:
        _ceiling_lamps(p)
    elif light == "lamps":
        warm = r.choice(((1, 0.75, 0.45), (1, 0.93, 0.8), (0.85, 0.93, 1)))
        for at in p.lamps:
            p.lamp("SPOT", at, r.uniform(150, 500), warm, size=0.15, angle=155)
            p.box(*at, 0.4, 0.3, 0.06, p.mat(warm, emit=8.0, dirt=0))
    return light


def _ceiling_lamps(p: Place) -> None:
    (x0, y0, x1, y1), r, ceiling = p.area, p.rng, p.heights[1] + 0.13
    nx, ny = max(1, min(3, round((x1 - x0) / 4))), max(1, min(4, round((y1 - y0) / 4)))
    tint = r.choice(((1, 0.96, 0.88), (1, 0.82, 0.6), (0.9, 0.96, 1)))
    watts = r.uniform(6, 14) * (x1 - x0) * (y1 - y0) / (nx * ny)
    shape, shine = r.choice(((1.2, 0.08), (0.6, 0.6), (0.25, 0.25))), p.mat(tint, emit=5.0, dirt=0)
    for i, j in product(range(nx), range(ny)):
        x, y = x0 + (i + 0.5) * (x1 - x0) / nx, y0 + (j + 0.5) * (y1 - y0) / ny
        for k in (-1.2, 0, 1.2) if y1 - y0 > 8 else (0,):
            p.box(x, y + k, ceiling - 0.05, *shape, 0.04, shine)
        p.lamp("AREA", (x, y, ceiling - 0.1), watts, tint, size=0.5)


# ---------------------------------------------------------------- cameras
def _views(p: Place) -> list[View]:
    """Two or three cameras, none with its lens against a shelf or most of its picture one plane."""
    bpy.context.view_layer.update()
    views, wanted = [], p.rng.choice((2, 3, 3))
    for _ in range(40):
        view = _view(p)
        if len(views) < wanted and _sees(view):
            views.append(view)
    return views


def _view(p: Place) -> View:
    r, (x0, y0, x1, y1) = p.rng, p.area
    how = r.choices(("corner", "down", "fisheye"), (0.62, 0.17, 0.21))[0]
    z, roll = r.uniform(*p.heights), r.gauss(0, 2.5)
    inner = (x0 + r.uniform(0.25, 0.75) * (x1 - x0), y0 + r.uniform(0.25, 0.75) * (y1 - y0))
    if how == "corner":
        size, fov = r.choice(SIZES), r.uniform(60, 105)
        on_wall = r.choice([(r.uniform(x0, x1), r.choice((y0, y1))), (r.choice((x0, x1)), r.uniform(y0, y1))])
        at = r.choice(p.eyes or [(r.choice((x0, x1)), r.choice((y0, y1))), on_wall])
        steep = 16.0
        if not p.indoor and r.random() < 0.8:  # no sky
            steep = 3 + math.degrees(math.atan(math.tan(math.radians(fov / 2)) * size[1] / size[0]))
        drop = math.dist(at, inner) * math.tan(math.radians(r.uniform(steep, steep + 22)))
        upside_down = 180 * (r.random() < 0.04)
        return View((*at, z), (*inner, z - max(drop, z - 0.6)), how, fov, roll + upside_down, size)
    at, tilt, turn = r.choice(p.eyes or [inner]), r.uniform(0, 0.25), r.uniform(0, 2 * math.pi)
    if how == "down":
        at, fov, size = inner, r.uniform(70, 110), r.choice(SIZES)
        z = p.heights[1] if p.indoor or p.flags else r.uniform(*p.heights) + 1
    else:
        fov, size = r.uniform(165, 195), r.choice(((_CROPPED, _CROPPED), (264, 264)))
        tilt = r.choice((tilt, r.uniform(0.5, 1.2)))
    look = (at[0] + tilt * math.cos(turn), at[1] + tilt * math.sin(turn), z - 1)
    return View((*at, z), look, how, fov, r.choice((0, 90, 180, 270)) + roll, size)


def _sees(view: View) -> bool:
    scene, graph, pose = bpy.context.scene, bpy.context.evaluated_depsgraph_get(), view.pose()
    wide = math.tan(math.radians(min(view.fov, 100)) / 2)
    high = wide * view.size[1] / view.size[0]
    reach, things, low = [], [], 0
    for u, v in product((-1, -0.5, 0, 0.5, 1), repeat=2):
        ray = pose @ Vector((u * wide, v * high, -1))
        hit, spot, _, _, thing, _ = scene.ray_cast(graph, view.at, ray.normalized())
        reach.append(math.dist(spot, view.at) if hit else 60.0)
        things.append(thing.name if hit else "sky")
        low += hit and spot.z < 1.9
    varied = len(set(things)) >= 5 and max(map(things.count, things)) <= 19
    return varied and min(reach) > 0.35 and sorted(reach)[6] > 1.3 and low >= 10


def _aim(p: Place, view: View, light: str) -> bpy.types.Object | None:
    """Set the scene's camera; gives its infrared lamp if it has one."""
    data, r = bpy.data.cameras.new("c"), bpy.context.scene.render
    data.clip_start = 0.02
    if view.how == "fisheye":
        data.type, data.panorama_type, data.fisheye_fov = (
            "PANO",
            "FISHEYE_EQUIDISTANT",
            math.radians(view.fov),
        )
    else:
        data.sensor_fit, data.angle = "HORIZONTAL", math.radians(view.fov)
    camera = bpy.data.objects.new("c", data)
    camera.matrix_world = Matrix.Translation(view.at) @ view.pose().to_4x4()
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    r.resolution_x, r.resolution_y = view.size
    if light != "ir":
        return None
    beside = tuple(Vector(view.at) + view.pose() @ Vector((0.05, 0.08, -0.02)))
    angle = 172 if view.how == "fisheye" else p.rng.uniform(95, 160)
    lamp = p.lamp("SPOT", beside, 120, size=0.03, look=view.look, angle=angle)
    lamp.data.spot_blend = 1.0
    return lamp


# ---------------------------------------------------------------- pictures
def photo(linear: np.ndarray, light: str, rng: np.random.Generator) -> np.ndarray:
    """Light [h,w,3] to a still, uint8: exposure, barrel, fall-off, sharpness, noise, drawn alike for both classes."""
    look = {"ir": "ir", "lamps": "night" if rng.random() < 0.35 else "day"}.get(light, "day")
    seen = linear.max(-1) > 0
    if len(linear) == _CROPPED:
        seen, linear = seen[84:260, 16:328], linear[84:260, 16:328]
    filled = np.where(seen[..., None], linear, np.median(linear[seen], 0))  # exposed for what is seen
    img = develop(filled, look, rng.uniform(0.7, 1.4) * (1.6 if look == "night" else 1.0)) * seen[..., None]
    h, w = seen.shape
    ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = xs / (w / 2) - 1, (ys - h / 2) / (w / 2)
    r2, bend = u * u + v * v, rng.uniform(0, 0.14)
    scale = ((1 + bend * r2) / (1 + bend * (1 + (h / w) ** 2)) * w / 2).astype(np.float32)
    img = cv2.remap(img.astype(np.float32), u * scale + w / 2, v * scale + h / 2, cv2.INTER_LINEAR)
    img *= (1 - rng.uniform(0, 0.35) * (r2 / 1.3) ** 1.3)[..., None]
    soft = cv2.GaussianBlur(img, (0, 0), rng.uniform(0.4, 0.8))
    img = soft + rng.uniform(0, 0.7) * (soft - cv2.GaussianBlur(soft, (0, 0), 1.3))
    noise = rng.normal(0, rng.uniform(0.004, 0.025), (h, w, 1 if look == "ir" else 3))
    img = img + noise * (0.5 + np.sqrt(np.clip(img, 0, 1)))
    return (np.clip(img, 0, 1) * 255 + 0.5).astype(np.uint8)


def _shoot(path: Path) -> np.ndarray:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    width, height = image.size
    rgba = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(rgba)
    bpy.data.images.remove(image)
    return rgba.reshape(height, width, 4)[::-1, :, :3].copy()  # Blender's rows run upwards


def _set_up(samples: int) -> None:
    r, c = bpy.context.scene.render, bpy.context.scene.cycles
    r.engine, r.threads_mode, r.threads, r.use_persistent_data = "CYCLES", "FIXED", 1, True
    r.image_settings.file_format, r.image_settings.color_depth = "OPEN_EXR", "32"
    c.device, c.samples, c.use_adaptive_sampling, c.use_light_tree = "CPU", samples, False, False
    c.use_denoising, c.denoiser, c.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"
    c.max_bounces, c.diffuse_bounces, c.glossy_bounces, c.transmission_bounces = 3, 2, 1, 1
    c.transparent_max_bounces, c.sample_clamp_indirect = 6, 6.0
    c.caustics_reflective = c.caustics_refractive = False


def _clear() -> None:
    """Empty the scene; the imported models stay."""
    scene, data = bpy.context.scene, bpy.data
    units = [c for c in data.collections if c.name.startswith("unit")]
    data.batch_remove([*scene.collection.objects, *(o for c in units for o in c.objects), *units])
    scene.world = None
    for pool in (data.meshes, data.lights, data.cameras, data.curves, data.worlds, data.materials):
        data.batch_remove([block for block in pool if not block.users])


def _arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", type=Path, required=True, help="folder with the *.sh3f archives")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--layouts", type=int, default=150)
    p.add_argument("--first", type=int, default=0, help="number of the first layout")
    p.add_argument("--only", nargs="*", default=(), help="kinds")
    p.add_argument("--samples", type=int, default=6, help="Cycles samples a pixel")
    return p.parse_args()


if __name__ == "__main__":
    main()
