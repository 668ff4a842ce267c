"""What streets are built of: carriageways, crossings, houses, poles with cables and lamps, trees, traffic."""

from __future__ import annotations

import math

import bpy

from samples.render.stage import Stage

_SIGNS = ((0.5, 0.05, 0.05), (0.05, 0.12, 0.45), (0.05, 0.3, 0.12), (0.75, 0.55, 0.05), (0.7, 0.7, 0.7))
_SHUTTERS = ((0.35, 0.4, 0.45), (0.2, 0.32, 0.42), (0.5, 0.5, 0.48))
_PLASTER = (
    (0.7, 0.64, 0.52),
    (0.62, 0.66, 0.62),
    (0.72, 0.70, 0.66),
    (0.66, 0.52, 0.42),
    (0.45, 0.55, 0.58),
    (0.74, 0.68, 0.45),
)
_PAINT = (
    (0.7, 0.7, 0.7),
    (0.02, 0.02, 0.025),
    (0.3, 0.31, 0.33),
    (0.28, 0.02, 0.02),
    (0.03, 0.05, 0.13),
    (0.5, 0.48, 0.42),
    (0.7, 0.7, 0.7),
)
_CARS = ("suv", "concept-sedan-01v2", "van", "smart-car", "concept-sedan-02")


class StreetParts(Stage):
    """Parts of a street on the plane z = 0."""

    def ground(self, mat, size=160) -> None:
        """The plane on which everything stands."""
        self.box(0, 0, -0.12, size, size, 0.1, mat)

    def asphalt(self, rough=0.85) -> bpy.types.Material:
        """Grey asphalt; below a roughness of 0.5 it is wet."""
        return self.mat((0.13, 0.13, 0.13), rough, pattern="asphalt", second=(0.05, 0.05, 0.052), dirt=0.25)

    def paving(self, color, size=0.3, *, dirt=0.4, rough=0.9) -> bpy.types.Material:
        """Paving stones of `size` metres."""
        joint = tuple(c * 0.5 for c in color)
        return self.mat(color, rough, pattern="pave", size=size, second=joint, dirt=dirt)

    def road_paint(self) -> bpy.types.Material:
        """Worn white road marking."""
        return self.mat((0.62, 0.62, 0.6), 0.7, pattern="asphalt", second=(0.3, 0.3, 0.3), dirt=0.5)

    def road(self, start, end, width, mat, *, lane=True, edge=True, kerb=True, z=0.0, gap=None) -> None:
        """Straight carriageway, worn markings, black and white kerbs, none of them in gap=(from, to)."""
        (x0, y0), (x1, y1) = start, end
        length, turn = math.hypot(x1 - x0, y1 - y0), math.degrees(math.atan2(y1 - y0, x1 - x0))
        ux, uy = (x1 - x0) / length, (y1 - y0) / length

        def at(t, s):
            return x0 + ux * t - uy * s, y0 + uy * t + ux * s

        self.box(*at(length / 2, 0), -0.02 + z, length, width, 0.02, mat, rot=turn)
        white, black = self.road_paint(), self.mat((0.06, 0.06, 0.06))
        gap = gap or (-9, -9)
        for t in range(0, int(length) - 3, 7) if lane else ():
            if not gap[0] - 1 < t + 1.5 < gap[1] + 1:
                self.box(*at(t + 1.5, 0), z, 3, 0.13, 0.006, white, rot=turn)
        for t in range(int(length)):
            if gap[0] < t + 0.5 < gap[1]:
                continue
            for s in (-1, 1):
                if edge:
                    self.box(*at(t + 0.5, s * (width / 2 - 0.3)), z, 1, 0.11, 0.006, white, rot=turn)
                if kerb:
                    stone = white if t % 2 else black
                    self.box(*at(t + 0.5, s * (width / 2 + 0.1)), -0.02, 1, 0.22, 0.17, stone, rot=turn)

    def zebra(self, x, y, length, depth, *, rot=0.0, z=0.012) -> None:
        """Pedestrian crossing."""
        c, s = math.cos(math.radians(rot)), math.sin(math.radians(rot))
        n = int(length / 0.95)
        for i in range(n):
            u = (i - (n - 1) / 2) * 0.95
            self.box(x + u * c, y + u * s, z, 0.48, depth, 0.006, self.road_paint(), rot=rot)

    # ------------------------------------------------------------ houses
    def row_of_houses(self, x, y, n, rot, *, lit=0.0, shop=0.5, step=8.0, along=(1, 0)) -> None:
        """`n` houses and shop-houses side by side."""
        for i in range(n):
            color, shopping = self.rng.choice(_PLASTER), self.rng.random() < shop
            width = step - self.rng.uniform(0.1, 0.5)
            storeys = self.rng.choice((1, 2, 2, 3)) if shopping else self.rng.choice((1, 2))
            at = (x + along[0] * i * step, y + along[1] * i * step)
            self.building(*at, width, 8, storeys, rot=rot, color=color, lit=lit, shop=shopping)

    def building(self, x, y, w, d, storeys, *, rot=0.0, color=(0.7, 0.66, 0.58), lit=0.0, shop=True, h=3.3):
        """Plaster, framed windows; a shop has roller doors, a sign and a flat roof, a house a gable roof."""
        c, s = math.cos(math.radians(rot)), math.sin(math.radians(rot))

        def at(u, v):
            return x + u * c - v * s, y + u * s + v * c

        def box(u, v, z, sx, sy, sz, m):
            return self.box(*at(u, v), z, sx, sy, sz, m, rot=rot)

        box(0, 0, 0, w, d, storeys * h, self.mat(color, 0.9, dirt=0.35))
        trim = self.mat(tuple(v * 0.7 for v in color))
        for k in range(storeys):
            if k:
                box(0, -d / 2 - 0.35, k * h - 0.1, w, 0.7, 0.12, trim)
            if k == 0 and shop:
                self._shop_front(box, w, d, lit)
            else:
                self._windows(box, w, d, k * h, trim, lit)
        if shop:
            self._flat_roof(box, at, w, d, storeys * h, trim)
        else:
            self._gable_roof(x, y, w, d, storeys * h, rot)

    def _shop_front(self, box, w, d, lit) -> None:
        r, front = self.rng, -d / 2
        shut = self.mat(r.choice(_SHUTTERS), 0.5, metal=0.3)
        inside = self.mat((1, 0.75, 0.42), emit=2.2, dirt=0) if lit else self._pane()
        doors = max(1, round(w / 3.4))
        for i in range(doors):
            u, width, is_open = (i + 0.5) * w / doors - w / 2, w / doors - 0.6, r.random() < 0.5
            box(u, front - 0.02, 0.05, width, 0.06, 2.5, inside if is_open else shut)
            for slat in range(0 if is_open else 12):
                box(u, front - 0.06, 0.12 + slat * 0.2, width, 0.03, 0.05, shut)
        sign = r.choice(_SIGNS)
        box(0, front - 0.12, 2.75, w * 0.92, 0.16, 0.75, self.mat(sign, 0.4, emit=0.5 if lit else 0))
        box(0, front - 0.21, 2.95, w * 0.5, 0.03, 0.32, self.mat((0.85, 0.85, 0.82), 0.5))
        if r.random() < 0.7:
            cloth = self.mat(tuple(v * 0.8 for v in sign))
            awning = box(0, front - 0.95, 2.6, w * 0.95, 1.8, 0.04, cloth)
            awning.rotation_euler[0] = 0.22

    def _pane(self) -> bpy.types.Material:
        return self.mat((0.04, 0.05, 0.06), 0.15, dirt=0)

    def _windows(self, box, w, d, z, trim, lit) -> None:
        glow, front = self.mat((1, 0.75, 0.42), emit=2.2, dirt=0), -d / 2
        n = max(2, round(w / 2.2))
        for i in range(n):
            for side in (0, 1, -1):  # front and both flanks
                span = d if side else w
                u = (i + 0.5) * span / n - span / 2
                if z == 0 and not side and i == n // 2:
                    box(u, front - 0.03, 0, 1.0, 0.08, 2.1, self.mat((0.25, 0.14, 0.08), 0.5))
                    continue
                pane = glow if self.rng.random() < lit else self._pane()
                if side:
                    box((w / 2 + 0.02) * side, u, z + 1.06, 0.07, 1.0, 1.3, pane)
                    continue
                box(u, front - 0.02, z + 1.0, 1.12, 0.07, 1.42, trim)
                box(u, front - 0.04, z + 1.06, 1.0, 0.07, 1.3, pane)
                box(u, front - 0.06, z + 1.06, 0.05, 0.07, 1.3, trim)
                box(u, front - 0.2, z + 2.48, 1.4, 0.4, 0.07, trim)

    def _flat_roof(self, box, at, w, d, z, trim) -> None:
        box(0, 0, z, w + 0.3, d + 0.3, 0.25, trim)
        tank, steel = self.mat((0.62, 0.30, 0.07), 0.5), self.mat((0.3, 0.3, 0.3), 0.5)
        spot = at(w * 0.2, d * 0.1)
        self.box(*spot, z + 0.25, 1.0, 1.0, 0.5, steel)
        self.cyl(*spot, z + 0.75, 0.5, 1.1, tank, n=20)
        self.cyl(*spot, z + 1.85, 0.5, 0.2, tank, n=20, top=0.2)

    def _gable_roof(self, x, y, w, d, z, rot) -> None:
        tiles = self.mat(
            (0.42, 0.16, 0.09), 0.85, pattern="roof", size=0.22, second=(0.2, 0.07, 0.04), dirt=0.45
        )
        a, b = w / 2 + 0.6, d / 2 + 0.6
        v = [(-a, -b, 0), (a, -b, 0), (a, b, 0), (-a, b, 0), (-a, 0, w * 0.28), (a, 0, w * 0.28)]
        f = [(0, 1, 5, 4), (2, 3, 4, 5), (1, 2, 5), (3, 0, 4), (0, 3, 2, 1)]
        self.mesh(v, f, tiles, at=(x, y, z), rot=rot)

    # ------------------------------------------------------------ street furniture
    def pole(self, x, y, h=8.0, *, cables=(), lamp=None, arm=(0, -1)) -> None:
        """Pole with sagging cables to each (x, y, h) and a street lamp; lamp=(colour, watts), 0 W is off."""
        concrete = self.mat((0.42, 0.42, 0.4))
        self.cyl(x, y, 0, 0.13, h, concrete, n=12, top=0.09)
        self.box(x, y, h - 0.9, 1.5, 0.08, 0.08, concrete)
        for target in cables:
            for q in range(4):
                self._cable((x, y, h), target, q)
        if lamp:
            (color, power), ex, ey = lamp, x + arm[0] * 1.6, y + arm[1] * 1.6
            sx, sy = abs(arm[0]) * 1.6 + 0.08, abs(arm[1]) * 1.6 + 0.08
            self.box((x + ex) / 2, (y + ey) / 2, h - 0.25, sx, sy, 0.07, concrete)
            head = self.mat(color, emit=40.0 if power else 0.0, dirt=0)
            self.box(ex, ey, h - 0.3, 0.5, 0.3, 0.1, head)
            if power:
                self.lamp("SPOT", (ex, ey, h - 0.4), power, color, size=0.15, angle=150)

    def _cable(self, start, end, q: int) -> None:
        curve = bpy.data.curves.new("cable", "CURVE")
        curve.dimensions, curve.bevel_depth = "3D", 0.014 + 0.006 * (q % 2)
        line = curve.splines.new("POLY")
        line.points.add(16)
        (x, y, h), (tx, ty, th), aside, sag = start, end, (q - 1.5) * 0.35, 1.1 + 0.3 * q
        for i in range(17):
            t = i / 16
            z = h - 0.8 - 0.2 * q + (th - h) * t - sag * 2 * t * (1 - t)
            line.points[i].co = (x + (tx - x) * t + aside, y + (ty - y) * t, z, 1)
        curve.materials.append(self.mat((0.02, 0.02, 0.02), 0.6, dirt=0))
        bpy.context.scene.collection.objects.link(bpy.data.objects.new("cable", curve))

    def tree(self, name, x, y, scale=1.0) -> None:
        """A tree, turned and sized at random."""
        self.put(name, x, y, self.rng.uniform(0, 360), scale=scale * self.rng.uniform(0.85, 1.1))

    def traffic(self, spots, kinds=_CARS) -> None:
        """Cars of random kind and paint at (x, y, rot)."""
        for x, y, rot in spots:
            turn = rot + self.rng.uniform(-2, 2)
            self.put(self.rng.choice(kinds), x, y, turn, tint=self.rng.choice(_PAINT))
