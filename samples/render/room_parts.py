"""What rooms are built of: walls with window and door, curtains, tube lamps, filled shelves."""

from __future__ import annotations

import math

from samples.render.stage import Stage

_PACKETS = (
    (0.7, 0.68, 0.62),
    (0.55, 0.08, 0.06),
    (0.6, 0.42, 0.06),
    (0.08, 0.2, 0.1),
    (0.06, 0.12, 0.3),
    (0.3, 0.16, 0.08),
    (0.75, 0.72, 0.66),
    (0.45, 0.05, 0.1),
    (0.62, 0.5, 0.3),
    (0.1, 0.1, 0.11),
    (0.35, 0.5, 0.55),
    (0.66, 0.2, 0.05),
)


class RoomParts(Stage):
    """Parts of a room from (0, 0) to (w, d)."""

    def room(self, w, d, h, floor, wall, *, window=None, door=None) -> None:
        """Four walls; window=(x0, x1, z0, z1) and door=x of a closed door are in the far wall (y = d)."""
        self.box(w / 2, d / 2, -0.1, w, d, 0.1, floor)
        self.box(w / 2, d / 2, h, w + 0.3, d + 0.3, 0.1, self.mat((0.82, 0.81, 0.78), dirt=0.12))
        self.box(-0.06, d / 2, 0, 0.12, d, h, wall)
        self.box(w + 0.06, d / 2, 0, 0.12, d, h, wall)
        self.box(w / 2, -0.06, 0, w, 0.12, h, wall)
        skirt = self.mat((0.45, 0.40, 0.35), 0.5)
        for x, y, sx, sy in (
            (w / 2, d - 0.012, w, 0.02),
            (0.012, d / 2, 0.02, d),
            (w - 0.012, d / 2, 0.02, d),
        ):
            self.box(x, y, 0, sx, sy, 0.09, skirt)
        if window:
            self._wall_with_window(w, d, h, wall, window)
        else:
            self.box(w / 2, d + 0.06, 0, w, 0.12, h, wall)
        if door is not None:
            self._door(door, d)

    def _wall_with_window(self, w, d, h, wall, window) -> None:
        x0, x1, z0, z1 = window
        mid, width = (x0 + x1) / 2, x1 - x0
        self.box(x0 / 2, d + 0.06, 0, x0, 0.12, h, wall)
        self.box((x1 + w) / 2, d + 0.06, 0, w - x1, 0.12, h, wall)
        self.box(mid, d + 0.06, 0, width, 0.12, z0, wall)
        self.box(mid, d + 0.06, z1, width, 0.12, h - z1, wall)
        frame = self.mat((0.85, 0.85, 0.83), 0.4, dirt=0.1)
        panes = max(2, round(width / 0.7))
        for i in range(panes + 1):
            self.box(x0 + width * i / panes, d + 0.04, z0, 0.05, 0.07, z1 - z0, frame)
        for z in (z0, z1 - 0.05):
            self.box(mid, d + 0.04, z, width, 0.07, 0.05, frame)
        self.box(mid, d - 0.05, z0 - 0.04, width + 0.2, 0.2, 0.04, frame)

    def _door(self, x, d) -> None:
        jamb = self.mat((0.6, 0.57, 0.5), 0.5)
        self.box(x, d - 0.02, 0, 0.86, 0.05, 2.05, self.mat((0.32, 0.20, 0.12), 0.45, dirt=0.2))
        for i in (-0.47, 0.47):
            self.box(x + i, d - 0.02, 0, 0.07, 0.09, 2.1, jamb)
        self.box(x, d - 0.02, 2.05, 1.02, 0.1, 0.07, jamb)
        self.cyl(x + 0.34, d - 0.08, 1.0, 0.03, 0.03, self.mat((0.7, 0.7, 0.7), 0.25, metal=1, dirt=0))

    def curtains(self, x0, x1, y, z0, z1, color, *, open_=0.5) -> None:
        """A pair of curtains on a rod, drawn back by the share `open_`."""
        cloth = self.mat(color, 0.9, dirt=0.1)
        half = (x1 - x0) * (1 - open_) / 2
        for x in (x0 + half / 2, x1 - half / 2):
            self.drape(x, y, z0, half, z1 - z0, cloth, folds=max(3, int(half * 9)))
        self.box((x0 + x1) / 2, y, z1, x1 - x0 + 0.3, 0.03, 0.03, self.mat((0.5, 0.4, 0.3), 0.4))

    def tube(self, x, y, z, power, length=1.2) -> None:
        """Fluorescent tube under a ceiling of height z."""
        self.box(x, y, z - 0.06, length, 0.06, 0.05, self.mat((1, 0.98, 0.92), emit=6.0, dirt=0))
        self.lamp("AREA", (x, y, z - 0.1), power, (1, 0.96, 0.88), size=0.8)

    def goods(self, x, y, w, d, h, *, rows=4, rot=0.0) -> None:
        """A shelf unit filled with packets, tins and bottles."""
        frame = self.mat((0.62, 0.64, 0.66), 0.4, metal=0.4)
        c, s = math.cos(math.radians(rot)), math.sin(math.radians(rot))

        def at(u, v):
            return x + u * c - v * s, y + u * s + v * c

        self.box(*at(0, d / 2), 0, w, 0.03, h, frame, rot=rot)
        for i in (-1, 1):
            self.box(*at(i * w / 2, 0), 0, 0.03, d, h, frame, rot=rot)
        for row in range(rows):
            z = 0.12 + row * (h - 0.15) / rows
            self.box(*at(0, 0), z - 0.025, w, d, 0.025, frame, rot=rot)
            self._fill_shelf(at, w, d, z, (h - 0.15) / rows, rot)

    def _fill_shelf(self, at, w, d, z, room, rot) -> None:
        r, u = self.rng, -w / 2 + 0.05
        while u < w / 2 - 0.1:
            tin, color = r.random() < 0.45, r.choice(_PACKETS)
            width, height = r.uniform(0.06, 0.16), r.uniform(0.1, room - 0.06)
            m = self.mat(color, 0.4, dirt=0)
            for _ in range(r.randint(1, 4)):
                if u > w / 2 - 0.1:
                    break
                for v in (-d / 2 + 0.09, 0):
                    if tin:
                        top = width * r.choice((0.42, 0.2))
                        self.cyl(*at(u + width / 2, v), z, width * 0.42, height, m, n=10, top=top)
                    else:
                        turn = rot + r.uniform(-6, 6)
                        self.box(*at(u + width / 2, v), z, width * 0.92, 0.14, height, m, rot=turn)
                u += width
            u += r.uniform(0, 0.04)
