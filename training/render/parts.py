"""A place under construction: enclosures, things in number, people. Metres, z up; a model's front looks to -y."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import bpy

from samples.render.kit import Kit

if TYPE_CHECKING:
    from samples.render.assets import Assets

PEOPLE = (
    "female01 female02 female03 female-01-casual-clothing male01 male02 male03 male-01-suit girlStanding "
    "boyStanding holdingFemale01 holdingFemale02 holdingFemale03 holdingMale01"
)
SITTING = "sitMale02 sitFemale02"
POTS = "plant ficus decorativePlant maceta yuccaPlant spatifilum mediumIndoorPlant"
TREES = "ficusTree acacia copperBeech poplar palm bamboo pine peachBlossom"
STONES = "pave pave tile concrete brick"
PAINTS = ((0.7, 0.7, 0.7), (0.03, 0.03, 0.04), (0.3, 0.31, 0.33), (0.28, 0.02, 0.02), (0.03, 0.05, 0.13))
CARTONS = ((0.42, 0.28, 0.16), (0.5, 0.36, 0.22), (0.62, 0.6, 0.56), (0.2, 0.25, 0.35))
COURTS = ((0.12, 0.3, 0.14), (0.1, 0.2, 0.4), (0.4, 0.15, 0.08))
GOODS = (
    *PAINTS,
    *CARTONS,
    (0.6, 0.42, 0.06),
    (0.08, 0.2, 0.1),
    (0.45, 0.05, 0.1),
    (0.35, 0.5, 0.55),
    (0.66, 0.2, 0.05),
)
WALLS = (
    *((0.78, 0.76, 0.7), (0.8, 0.78, 0.74), (0.55, 0.66, 0.62), (0.74, 0.64, 0.4), (0.62, 0.66, 0.7)),
    *((0.5, 0.48, 0.45), (0.68, 0.5, 0.4), (0.36, 0.42, 0.5), (0.85, 0.84, 0.82)),
)
_BOX = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))

Area = tuple[float, float, float, float]


class Heap:
    """Many boxes as one mesh: what keeps a scene of thousands of packets cheap."""

    def __init__(self) -> None:
        self.verts, self.faces, self.index = [], [], []
        self.slots: dict[bpy.types.Material, int] = {}

    def box(self, x, y, z, sx, sy, sz, mat, rot=0.0) -> None:
        """Like `Stage.box`."""
        c, s, n = math.cos(math.radians(rot)), math.sin(math.radians(rot)), len(self.verts)
        for i, j, k in product((-0.5, 0.5), (-0.5, 0.5), (0, 1)):
            self.verts.append((x + i * sx * c - j * sy * s, y + i * sx * s + j * sy * c, z + k * sz))
        self.faces += [[n + q for q in face] for face in _BOX]
        self.index += [self.slots.setdefault(mat, len(self.slots))] * len(_BOX)

    def build(self, into: bpy.types.Collection | None = None) -> None:
        """Make the mesh, in the scene or in a collection to be instanced."""
        mesh = bpy.data.meshes.new("heap")
        mesh.from_pydata(self.verts, [], self.faces)
        for mat in self.slots:
            mesh.materials.append(mat)
        mesh.polygons.foreach_set("material_index", self.index)
        (into or bpy.context.scene.collection).objects.link(bpy.data.objects.new("heap", mesh))


class Place(Kit):
    """The samples' kit with what makes hundreds of layouts: things put where nothing stands yet.

    Cameras hang over `area` (or at one of `eyes`) at `heights`.
    """

    def __init__(self, assets: Assets, seed: int) -> None:
        super().__init__(assets, seed)
        self.area: Area = (0, 0, 1, 1)
        self.heights, self.indoor, self.flags = (2.0, 3.0), False, ""
        self.eyes: list[tuple[float, float]] = []
        self.taken: list[tuple[float, float, float]] = []
        self.lamps: list[tuple[float, float, float]] = []
        self.openings: list[tuple[tuple, float, tuple]] = []

    # ------------------------------------------------------------ surfaces and enclosures
    def paint(self, colors=WALLS, rough=0.85, **more) -> bpy.types.Material:
        """A material of one of the colours."""
        return self.mat(self.rng.choice(colors), rough, **more)

    def floor(self, kinds: str) -> bpy.types.Material:
        """A floor of one of the kinds; most of them are laid both inside houses and before them."""
        r, kind = self.rng, self.rng.choice(kinds.split())
        grey = r.uniform(0.2, 0.62)
        color = (grey * r.uniform(1, 1.12), grey, grey * r.uniform(0.8, 1.0))
        if kind == "plank":
            brown = r.choice(((0.35, 0.22, 0.13), (0.5, 0.36, 0.22), (0.22, 0.13, 0.08), (0.4, 0.37, 0.33)))
            return self.mat(brown, r.uniform(0.25, 0.7), pattern="plank", size=r.uniform(0.09, 0.16))
        if kind in ("tile", "pave"):
            rough, size = r.uniform(0.15, 0.9), r.uniform(0.15, 0.7)
            return self.mat(color, rough, pattern=kind, size=size, dirt=r.uniform(0.1, 0.45))
        grown = {
            "grass": ((0.1, 0.17, 0.05), (0.05, 0.09, 0.02)),
            "sand": ((0.55, 0.46, 0.33), (0.42, 0.34, 0.24)),
        }
        if kind in grown:
            return self.mat(grown[kind][0], 0.95, pattern="asphalt", second=grown[kind][1], dirt=0.45)
        special = {"asphalt": self.asphalt, "brick": lambda: self.paving((0.42, 0.2, 0.14), 0.11)}
        return special.get(kind, lambda: self.mat(color, r.uniform(0.3, 0.9), dirt=r.uniform(0.2, 0.5)))()

    def wall(self, start, end, h, mat, *, windows=0, sill=1.0, head=2.2, share=0.5, doors=0) -> None:
        """Wall with a row of openings that take `share` of its length; its inner side is on the left."""
        (x0, y0), (x1, y1) = start, end
        length, turn = math.dist(start, end), math.atan2(y1 - y0, x1 - x0)
        ux, uy, heap = math.cos(turn), math.sin(turn), Heap()

        def part(t0, t1, z0, z1, m, thick=0.14):
            t, rot = (t0 + t1) / 2, math.degrees(turn)
            heap.box(x0 + ux * t, y0 + uy * t, z0, t1 - t0, thick, z1 - z0, m, rot)

        frame, step = self.mat((0.75, 0.75, 0.73), 0.4, dirt=0.1), length / max(windows, 1)
        half = step * share / 2 if windows else 0
        for i in range(max(windows, 1)):
            mid = (i + 0.5) * step
            part(i * step - 0.05, mid - half, 0, h, mat)
            part(mid + half, (i + 1) * step + 0.05, 0, h, mat)
            if windows:
                part(mid - half, mid + half, 0, sill, mat)
                part(mid - half, mid + half, head, h, mat)
                for t in (mid - half, mid, mid + half):
                    part(t - 0.03, t + 0.03, sill, head, frame, 0.07)
                part(mid - half, mid + half, head - 0.05, head, frame, 0.09)
                at = (x0 + ux * mid, y0 + uy * mid, (sill + head) / 2)
                self.openings.append((at, max(2 * half, head - sill), (-uy, ux, -0.25)))
        for _ in range(doors):
            t = self.rng.uniform(0.8, length - 0.8)
            part(t - 0.45, t + 0.45, 0, 2.05, self.paint(CARTONS, 0.45), 0.2)
        part(0, length, 0, 0.09, self.mat((0.4, 0.37, 0.33), 0.5), 0.17)
        heap.build()

    def enclose(
        self, wide, deep, high, floors, *, windows=0.45, front=0, sill=1.0, head=2.2, share=0.6, low=0.5
    ):
        """Closed room from (0, 0), each side having windows with a probability, `front` of them in the far wall.

        Gives its width, depth and height, drawn from the ranges.
        """
        r, paint = self.rng, self.paint()
        w, d, h = (r.uniform(*span) for span in (wide, deep, high))
        self.area, self.heights, self.indoor = (0.2, 0.2, w - 0.2, d - 0.2), (h - low, h - 0.15), True
        self.box(w / 2, d / 2, -0.1, w, d, 0.1, self.floor(floors))
        self.box(w / 2, d / 2, h, w + 0.3, d + 0.3, 0.1, self.mat((0.8, 0.79, 0.76), dirt=0.15))
        for y in range(4, int(d), 4) if h > 4 else ():
            self.box(w / 2, y, h - 0.45, w, 0.25, 0.45, self.mat((0.5, 0.5, 0.5), 0.6))
        corners = ((0, 0), (w, 0), (w, d), (0, d), (0, 0))
        for i in range(4):
            n = front if front and i == 2 else r.choice((1, 2, 3)) * (r.random() < windows)
            look = {"windows": n, "sill": min(sill, h - 1.4), "head": min(head, h - 0.2), "share": share}
            self.wall(corners[i], corners[i + 1], h, paint, doors=int(not n), **look)
        if self.openings:
            self.ground(self.floor("grass asphalt pave"))
            self.houses(d + 18, 3)
            self.tree("ficusTree", w / 2, d + 5, 0.8)
        return w, d, h

    def houses(self, away: float, sides: int) -> None:
        """Rows of houses on some sides."""
        r, lit = self.rng, self.rng.choice((0, 0.4))
        for x, y, rot in ((-20, away, 0), (-away, -20, 90), (away, -20, -90))[:sides]:
            for k in range(6):
                at = (x, y + 8 * k) if rot else (x + 8 * k, y)
                look = {"color": r.choice(WALLS), "lit": lit, "shop": r.random() < 0.5}
                self.building(*at, 7.8, 8, r.choice((1, 2, 3)), rot=rot, **look)

    def open_air(self, span, heights, floors) -> float:
        """Ground under the sky; gives half the width of the part that matters."""
        a = self.rng.uniform(*span)
        self.area, self.heights = (-a, -a, a, a), heights
        self.ground(self.floor(floors))
        for x, y in ((-a, a * 0.5), (a, -a * 0.4), (0, a)):
            h = self.rng.uniform(4, 7)
            self.cyl(x, y, 0, 0.07, h, self.mat((0.2, 0.2, 0.2), 0.5), n=8)
            self.lamps.append((x, y, h))
        return a

    # ------------------------------------------------------------ things in number
    def free(self, x, y, r) -> bool:
        """Whether a circle is clear of what was put before."""
        return all(math.hypot(x - a, y - b) > r + c for a, b, c in self.taken)

    def thing(self, names: str, x, y, rot=0.0, *, room=0.0, **more) -> bpy.types.Object:
        """Put one of the models; `room` is the radius that it takes, by default half its smaller side."""
        name = self.rng.choice(names.split())
        self.taken.append((x, y, room or min(self.assets.size_m(name)[:2]) / 2 * more.get("scale", 1)))
        new = self.put(name, x, y, rot, **more)
        if name in PEOPLE.split() + SITTING.split():
            _recolour(new.instance_collection)
        return new

    def scatter(
        self, names: str, lo: int, hi: int, *, area=None, rots=None, tints=None, scale=(1, 1)
    ) -> None:
        """From `lo` to `hi` of the models at free spots, as far as there are any."""
        r, (x0, y0, x1, y1), wanted = self.rng, area or self.area, self.rng.randint(lo, hi)
        for _ in range(wanted * 5):
            name = r.choice(names.split())
            room = max(self.assets.size_m(name)[:2]) / 2
            x, y = (r.uniform(min(a + room, b), max(b - room, a)) for a, b in ((x0, x1), (y0, y1)))
            if wanted and self.free(x, y, room + 0.1):
                turn, tint = r.choice(rots) if rots else r.uniform(0, 360), r.choice(tints) if tints else None
                self.thing(name, x, y, turn, room=room, tint=tint, scale=r.uniform(*scale))
                wanted -= 1

    def people(self, lo: int, hi: int, area=None) -> None:
        """People, some of them in pairs."""
        self.scatter(PEOPLE, lo, hi, area=area, scale=(0.92, 1.05))
        for x, y, room in self.taken[-hi // 3 :]:
            if self.free(x + room + 0.4, y, 0.2) and x + 1 < self.area[2]:
                self.thing(PEOPLE, x + room + 0.4, y, self.rng.uniform(0, 360))

    def along(self, names: str, side: str, fill=0.6) -> None:
        """Furniture against a wall of the area: side x0, x1, y0 or y1."""
        x0, y0, x1, y1 = self.area
        t, end = (y0 + 0.3, y1 - 0.3) if side[0] == "x" else (x0 + 0.3, x1 - 0.3)
        while True:
            name = self.rng.choice(names.split())
            width, depth, _ = self.assets.size_m(name)
            if t + width > end:
                return
            mid, off = t + width / 2, depth / 2 - 0.1
            spots = {"x0": (x0 + off, mid, 90), "x1": (x1 - off, mid, -90), "y0": (mid, y0 + off, 180)}
            x, y, rot = spots.get(side, (mid, y1 - off, 0))
            if self.rng.random() < fill and self.free(x, y, depth / 2):
                self.thing(name, x, y, rot, room=max(width, depth) * 0.45)
            t += width + self.rng.uniform(0, 0.5)

    def shelf(self, w, d, h, rows, *, pallets=False) -> bpy.types.Collection:
        """A double-sided shelf full of packets, or a pallet rack full of cartons, for `unit`."""
        r, heap, steel, room = self.rng, Heap(), self.paint(GOODS, 0.4, dirt=0.1), (h - 0.1) / rows
        for i, j in product((-1, 1), (-1, 1)):
            heap.box(i * w / 2, j * d / 2, 0, 0.08, 0.08, h, steel)
        if not pallets:
            heap.box(0, 0, 0, w, 0.04, h, steel)
        for row, side in product(range(rows), (-1, 1)):
            z, u = 0.12 + row * room, -w / 2 + 0.05
            heap.box(0, 0, z - 0.03, w, d, 0.03, steel)
            while u < w / 2 - 0.12:
                width = min(r.uniform(0.5, 1.1) if pallets else r.uniform(0.12, 0.5), w / 2 - u)
                high, m = room * r.uniform(0.45, 0.85), self.paint(CARTONS if pallets else GOODS, 0.5, dirt=0)
                if r.random() < 0.9:
                    label = self.paint(GOODS, 0.5, dirt=0)
                    heap.box(u + width / 2, side * d / 4, z, width * 0.95, d * 0.44, high, m)
                    heap.box(
                        u + width / 2, side * d * 0.475, z + high * 0.3, width * 0.6, 0.02, high * 0.35, label
                    )
                u += width + 0.01
        unit = bpy.data.collections.new("unit")
        heap.build(unit)
        return unit

    def unit(self, shelf: bpy.types.Collection, x, y, length: float, rot=90.0) -> None:
        """Put a shelf, by default along y."""
        e = bpy.data.objects.new("unit", None)
        e.instance_type, e.instance_collection = "COLLECTION", shelf
        e.location, e.rotation_euler = (x, y, 0), (0, 0, math.radians(rot))
        bpy.context.scene.collection.objects.link(e)
        self.taken += [(x, y + k * length / 3, 0.6) for k in (-1, 0, 1)]

    def crates(self, x, y, w, d) -> None:
        """A table of fruit or other heaped wares."""
        z, n, m = self.rng.uniform(0.6, 0.9), max(2, round(w / 0.5)), max(1, round(d / 0.5))
        self.box(x, y, 0, w, d, z, self.paint(GOODS))
        for i, j in product(range(n), range(m)):
            u, v = x + ((i + 0.5) / n - 0.5) * w, y + ((j + 0.5) / m - 0.5) * d
            wares = self.paint(GOODS, 0.6, pattern="tile", size=0.09, dirt=0.4)
            self.blanket(u, v, z + 0.02, w / n * 0.86, d / m * 0.8, wares, rumple=0.05, n=8)
        self.taken += [(x, y + k * d / 3, 0.6) for k in (-1, 0, 1)]

    def loads(self, lo: int, hi: int) -> None:
        """Pallets with cartons on them."""
        before = len(self.taken)
        self.scatter("pallet", lo, hi)
        for x, y, _ in self.taken[before:]:
            m, turn = self.paint(CARTONS, 0.6, dirt=0.1), self.rng.uniform(-3, 3)
            for k, u, v in product(range(self.rng.randint(1, 3)), (-0.28, 0.28), (-0.28, 0.28)):
                self.box(x + u, y + v, 0.13 + k * 0.4, 0.54, 0.54, 0.38, m, rot=turn)

    def tables(self, table: str, seats: str, umbrellas=0.0) -> None:
        """Rows of tables with chairs and guests, inside or out."""
        r, (x0, y0, x1, y1), step = self.rng, self.area, self.rng.uniform(2.1, 2.9)
        table, seat = r.choice(table.split()), r.choice(seats.split())
        for i, j in product(range(int((x1 - x0) / step)), range(int((y1 - y0) / step))):
            x, y = x0 + (i + 0.5) * step + r.uniform(-0.2, 0.2), y0 + (j + 0.5) * step + r.uniform(-0.2, 0.2)
            if r.random() < 0.12 or not self.free(x, y, 1.0):
                continue
            if r.random() < umbrellas:
                self.put("umbrella", x, y, z=0.6, scale=1.2)
            for u, v, rot in ((0, -0.75, 180), (0, 0.75, 0), (-0.8, 0, 90), (0.8, 0, -90)):
                if r.random() < 0.75:
                    self.thing(SITTING if r.random() < 0.3 else seat, x + u, y + v, rot + r.uniform(-15, 15))
            self.thing(table, x, y, r.choice((0, 90)), room=1.0)

    def court(self) -> None:
        """Coloured ground and lines of a sports court in the middle of the area."""
        x0, y0, x1, y1 = self.area
        x, y, w, d = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * 0.84, (y1 - y0) * 0.84
        heap, white = Heap(), self.mat((0.7, 0.7, 0.68), 0.6, dirt=0.2)
        self.box(x, y, -0.02, w * 1.1, d * 1.1, 0.022, self.paint(COURTS, 0.6, dirt=0.3))
        for s in (-1, 1):
            heap.box(x + s * w / 2, y, 0, 0.08, d, 0.006, white)
            for k, part in ((0.5, 1), (0.33, 0.4), (0, 1)):
                heap.box(x, y + s * d * k, 0, w * part, 0.08, 0.006, white)
            heap.box(x + s * w * 0.2, y + s * d * 0.415, 0, 0.08, d * 0.17, 0.006, white)
            heap.box(x + s * w * 0.2, y - s * d * 0.415, 0, 0.08, d * 0.17, 0.006, white)
        heap.build()
        self.thing("football-goal", x, y + d / 2, scale=1.8)


def _recolour(coll: bpy.types.Collection) -> None:
    # Cycles' random number per instance gives each person clothes of another colour.
    if coll.get("recoloured"):
        return
    coll["recoloured"] = True
    for tree in {
        m.node_tree for o in coll.objects for m in o.data.materials if m and "skin" not in m.name.lower()
    }:
        shader = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
        info, tint = tree.nodes.new("ShaderNodeObjectInfo"), tree.nodes.new("ShaderNodeHueSaturation")
        base = shader.inputs["Base Color"]
        tint.inputs["Color"].default_value = base.default_value
        if base.links:
            tree.links.new(base.links[0].from_socket, tint.inputs["Color"])
        for socket, low, high in (("Hue", 0.44, 0.56), ("Saturation", 1.2, 0.4), ("Value", 0.5, 1.5)):
            spread = tree.nodes.new("ShaderNodeMapRange")
            spread.inputs["To Min"].default_value, spread.inputs["To Max"].default_value = low, high
            tree.links.new(info.outputs["Random"], spread.inputs["Value"])
            tree.links.new(spread.outputs[0], tint.inputs[socket])
        tree.links.new(tint.outputs[0], base)
