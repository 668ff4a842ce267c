"""The empty stage: shapes, models, lamps, sky, camera. Metres, z up; a model's front looks towards -y."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import bpy

from samples.render.surfaces import Color, Surface, material

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samples.render.assets import Assets

MARGIN = 1.10  # rendered wider than shown: the lens distortion crops it
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Mover:
    """A model that crosses the view in a clip; its shadow or beam reaches `shadow_m` around it."""

    model: str
    start: tuple[float, float]
    end: tuple[float, float]
    tint: Color | None = None
    walks: bool = False
    headlights: bool = False
    shadow_m: float = 0.0

    @property
    def heading_deg(self) -> float:
        """Rotation that turns the model's front towards where it goes."""
        return math.degrees(math.atan2(self.end[0] - self.start[0], self.start[1] - self.end[1]))


class Stage:
    """One scene under construction, random choices from its own seeded `rng`."""

    def __init__(self, assets: Assets, seed: int) -> None:
        self.assets, self.rng = assets, random.Random(seed)
        self.movers: list[Mover] = []
        self._materials: dict[Surface, bpy.types.Material] = {}

    def mat(self, color: Color, rough: float = 0.8, **more) -> bpy.types.Material:
        """Material of a surface; `more` are the other fields of `Surface`."""
        surface = Surface(color, rough, **more)
        if surface not in self._materials:
            self._materials[surface] = material(surface)
        return self._materials[surface]

    # ------------------------------------------------------------ shapes
    def mesh(self, verts, faces, mat, *, smooth=False, at: Point = (0, 0, 0), rot=0.0) -> bpy.types.Object:
        """Free shape, turned by `rot` degrees about z."""
        mesh = bpy.data.meshes.new("mesh")
        mesh.from_pydata([tuple(v) for v in verts], [], [tuple(f) for f in faces])
        mesh.materials.append(mat)
        if smooth:
            mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
        shape = bpy.data.objects.new("o", mesh)
        shape.location, shape.rotation_euler = at, (0, 0, math.radians(rot))
        bpy.context.scene.collection.objects.link(shape)
        return shape

    def box(self, x, y, z, sx, sy, sz, mat, *, rot=0.0, bevel=0.0) -> bpy.types.Object:
        """Box: centre x, y, foot z, sizes."""
        v = [(i * sx / 2, j * sy / 2, k * sz) for i in (-1, 1) for j in (-1, 1) for k in (0, 1)]
        f = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        shape = self.mesh(v, f, mat, at=(x, y, z), rot=rot)
        if bevel:
            modifier = shape.modifiers.new("b", "BEVEL")
            modifier.width, modifier.segments = bevel, 3
        return shape

    def cyl(self, x, y, z, r, h, mat, *, n=16, top: float | None = None) -> bpy.types.Object:
        """Upright cylinder or cone of radius `r` at the foot and `top` above."""
        top = r if top is None else top
        turn = [2 * math.pi * i / n for i in range(n)]
        v = [(r * math.cos(t), r * math.sin(t), 0) for t in turn]
        v += [(top * math.cos(t), top * math.sin(t), h) for t in turn]
        f = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
        f += [tuple(range(n))[::-1], tuple(range(n, 2 * n))]
        return self.mesh(v, f, mat, at=(x, y, z))

    def blanket(self, x, y, z, sx, sy, mat, *, rumple=0.03, n=28) -> bpy.types.Object:
        """Cloth lying, rumpled, its edges hanging."""
        wave = self._waves(rumple)
        v = []
        for u, w in _grid(n):
            edge = max(abs(u - 0.5), abs(w - 0.5)) * 2
            hang = 0.35 * max(0, edge - 0.86) if rumple > 0.02 else 0
            v.append(((u - 0.5) * sx, (w - 0.5) * sy, abs(wave(u, w)) + rumple - hang))
        return self.mesh(v, _quads(n), mat, smooth=True, at=(x, y, z))

    def drape(self, x, y, z, sx, h, mat, *, folds: int, n=60) -> bpy.types.Object:
        """Cloth hanging from z + h down to z."""
        wave = self._waves(0.02)
        v = []
        for u, w in _grid(n):
            fold = 0.05 * math.sin(folds * 6.28 * u) * (1.1 - 0.3 * w)
            v.append(((u - 0.5) * sx, wave(u, w) + fold, w * h))
        return self.mesh(v, _quads(n), mat, smooth=True, at=(x, y, z))

    def _waves(self, height: float):
        r = self.rng
        terms = [
            (r.uniform(0.5, 3), r.uniform(0.5, 3), r.uniform(0, 6.3), r.uniform(0.3, 1)) for _ in range(9)
        ]
        return lambda u, w: sum(k * math.sin(a * 6 * u + b * 6 * w + c) for a, b, c, k in terms) / 3 * height

    # ------------------------------------------------------------ things
    def put(self, name, x, y, rot=0.0, *, z=0.0, scale=1.0, tint: Color | None = None) -> bpy.types.Object:
        """Place a model by its catalogue name."""
        thing = bpy.data.objects.new(name, None)
        thing.instance_type = "COLLECTION"
        thing.instance_collection = self.assets.collection(name, tint)
        thing.location, thing.scale = (x, y, z), (scale,) * 3
        thing.rotation_euler = (0, 0, math.radians(rot))
        bpy.context.scene.collection.objects.link(thing)
        return thing

    def lamp(
        self,
        kind: Literal["AREA", "SPOT"],
        at: Point,
        power,
        color=(1, 1, 1),
        *,
        size=0.3,
        look: Point | None = None,
        angle=120.0,
    ) -> bpy.types.Object:
        """Light source of `power` watts towards `look` (default: down)."""
        data = bpy.data.lights.new("l", kind)
        data.energy, data.color = power, color
        if kind == "AREA":
            data.size = size
        else:
            data.spot_size, data.spot_blend, data.shadow_soft_size = math.radians(angle), 0.6, size
        lamp = bpy.data.objects.new("l", data)
        lamp.location = at
        _aim(lamp, look or (at[0], at[1], at[2] - 1))
        bpy.context.scene.collection.objects.link(lamp)
        return lamp

    def camera(self, at: Point, look: Point, fov: float) -> None:
        """The camera; `fov` is the horizontal angle of the shown picture in degrees."""
        data = bpy.data.cameras.new("c")
        data.angle = 2 * math.atan(math.tan(math.radians(fov) / 2) * MARGIN)
        data.clip_start = 0.02
        camera = bpy.data.objects.new("c", data)
        camera.location = at
        _aim(camera, look)
        bpy.context.scene.collection.objects.link(camera)
        bpy.context.scene.camera = camera

    # ------------------------------------------------------------ sky
    def dark_sky(self, color: Color) -> None:
        """Night, of one colour."""
        self._background().inputs[0].default_value = (*color, 1)

    def sunny_sky(self, *, sun=48.0, turn=120.0, strength=1.0) -> None:
        """Hazy blue with thin cloud, the sun `sun` degrees up."""
        background = self._background()
        tree = bpy.context.scene.world.node_tree
        clouds, elements = self._clouds(tree)
        elements[0].position, elements[1].position = 0.38, 0.7
        elements[0].color = (0.45, 0.45, 0.45, 1)
        sky, mix = tree.nodes.new("ShaderNodeTexSky"), tree.nodes.new("ShaderNodeMix")
        sky.sky_type, sky.sun_elevation, sky.sun_rotation = "NISHITA", math.radians(sun), math.radians(turn)
        sky.air_density, sky.dust_density, sky.sun_intensity = 1.4, 2.0, 1.0
        mix.data_type = "RGBA"
        mix.inputs[7].default_value = (6, 6.2, 6.6, 1)
        tree.links.new(clouds, mix.inputs[0])
        tree.links.new(sky.outputs[0], mix.inputs[6])
        tree.links.new(mix.outputs[2], background.inputs[0])
        background.inputs[1].default_value = 0.16 * strength

    def grey_sky(self, *, strength=1.0) -> None:
        """Even cloud."""
        background = self._background()
        tree = bpy.context.scene.world.node_tree
        clouds, elements = self._clouds(tree)
        elements[0].position, elements[1].position = 0.3, 0.75
        elements[0].color, elements[1].color = (0.55, 0.58, 0.62, 1), (0.92, 0.94, 0.97, 1)
        tree.links.new(clouds, background.inputs[0])
        background.inputs[1].default_value = 1.1 * strength

    def _background(self) -> bpy.types.Node:
        world = bpy.data.worlds.new("w")
        bpy.context.scene.world = world
        world.use_nodes = True
        return world.node_tree.nodes["Background"]

    def _clouds(self, tree):
        noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
        place, mapping = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = (1, 1, 2.2)
        mapping.inputs["Location"].default_value = (self.rng.uniform(0, 9),) * 3
        noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 2.2, 8
        tree.links.new(place.outputs["Generated"], mapping.inputs[0])
        tree.links.new(mapping.outputs[0], noise.inputs["Vector"])
        tree.links.new(noise.outputs["Fac"], ramp.inputs[0])
        return ramp.outputs[0], ramp.color_ramp.elements


def _grid(n: int) -> list[tuple[float, float]]:
    return [(i / n, j / n) for i in range(n + 1) for j in range(n + 1)]


def _quads(n: int) -> list[Sequence[int]]:
    m = n + 1
    return [
        (i * m + j, (i + 1) * m + j, (i + 1) * m + j + 1, i * m + j + 1) for i in range(n) for j in range(n)
    ]


def _aim(thing: bpy.types.Object, target: Point) -> None:
    dx, dy, dz = (target[i] - thing.location[i] for i in range(3))
    pitch = math.atan2(dz, math.hypot(dx, dy))
    thing.rotation_euler = (math.pi / 2 + pitch, 0, -math.atan2(dx, dy))
