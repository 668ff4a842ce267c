"""The rooms, each seen from a corner under its ceiling."""

from __future__ import annotations

from samples.render.kit import Kit, scene
from samples.render.stage import Mover

_GARMENTS = ((0.5, 0.1, 0.1), (0.1, 0.14, 0.3), (0.7, 0.68, 0.6), (0.12, 0.12, 0.13), (0.2, 0.35, 0.2))


def _bedroom(k: Kit, *, night: bool) -> None:
    w, d, h = 3.6, 4.3, 2.85
    k.room(
        w,
        d,
        h,
        k.mat((0.62, 0.58, 0.52), 0.35, pattern="tile", size=0.4, second=(0.3, 0.28, 0.25)),
        k.mat((0.55, 0.66, 0.62), 0.9, dirt=0.18),
        window=(0.5, 1.9, 1.0, 2.2),
        door=3.0,
    )
    k.curtains(0.3, 2.1, d - 0.12, 0.8, 2.35, (0.55, 0.22, 0.18), open_=0.05 if night else 0.45)
    k.put("bed1", 1.35, d - 1.2)
    k.blanket(1.35, d - 1.6, 0.53, 1.5, 1.1, k.mat((0.16, 0.24, 0.45), 0.95, dirt=0.2), rumple=0.07)
    wood, dark = k.mat((0.34, 0.20, 0.11), 0.4, dirt=0.3), k.mat((0.05, 0.04, 0.03), 0.5)
    k.box(w - 0.3, 2.2, 0, 0.58, 1.84, 2.1, dark)
    for i in range(3):
        k.box(w - 0.6, 1.6 + 0.6 * i, 0.08, 0.03, 0.59, 1.98, wood, bevel=0.008)
        k.cyl(w - 0.63, 1.38 + 0.6 * i, 1.0, 0.012, 0.16, k.mat((0.7, 0.7, 0.7), 0.3, metal=1, dirt=0), n=8)
    k.put("cardboard-box", w - 0.3, 2.1, rot=-80, z=2.1, scale=0.9)
    k.put("bedsideTable2", 0.3, d - 0.35)
    k.put("little_lamp1", 0.3, d - 0.35, z=0.455)
    k.put("oriental-rug", 1.4, 1.7, rot=90, scale=0.7)
    k.put("slippers", 2.15, 2.3, rot=30)
    k.put("riggedFan", 2.55, 3.75, rot=-40, scale=1.6)
    k.put("internal-unity-air-conditioning", 2.6, d - 0.12, z=2.3)
    k.put("backpack", 0.35, 2.2, rot=70)
    k.put("clothes-horse", 0.45, 1.75, rot=85, scale=0.8)
    k.put("frame1", 0.06, 2.6, rot=90, z=1.5)
    k.camera((0.15, 0.15, h - 0.25), (2.2, 3.1, 0.6), 90)
    k.movers = [Mover("male03", (2.5, 3.2), (2.45, 1.2), walks=True)]
    if night:
        k.dark_sky((0.002, 0.003, 0.006))
        k.lamp("SPOT", (0.2, 0.2, h - 0.3), 90, size=0.02, look=(2.1, 3, 0.6), angle=110)
        return
    k.sunny_sky(turn=20, strength=2)
    k.lamp("AREA", (1.2, d - 0.3, 1.7), 22, (0.92, 0.96, 1), size=1.2, look=(1.4, 0, 0.8))


@scene
def bedroom_day(k: Kit) -> None:
    """A bedroom by day, sun through the window."""
    _bedroom(k, night=False)


@scene
def bedroom_night_ir(k: Kit) -> None:
    """The same bedroom by the camera's own infrared lamp."""
    _bedroom(k, night=True)


@scene
def living_room(k: Kit) -> None:
    """A living room with someone on the sofa."""
    w, d, h = 4.6, 4.8, 3.0
    k.room(
        w,
        d,
        h,
        k.mat((0.78, 0.75, 0.68), 0.2, pattern="tile", size=0.5, second=(0.45, 0.42, 0.38)),
        k.mat((0.82, 0.76, 0.62), 0.9, dirt=0.15),
        window=(2.6, 4.1, 1.0, 2.3),
        door=0.9,
    )
    k.curtains(2.4, 4.3, d - 0.12, 0.2, 2.5, (0.75, 0.68, 0.5), open_=0.5)
    k.put("cornerSofa", w - 0.6, 2.6, rot=-90)
    k.put("armchair2", 3.3, d - 0.8, rot=-15)
    k.put("coffee-table2", 2.7, 2.5, rot=90)
    k.put("oriental-rug", 2.6, 2.5, rot=90)
    k.put("televisionCabinet", 0.45, 2.6, rot=90)
    k.put("plant", w - 0.5, d - 0.5)
    k.put("full-bookcase", 1.9, d - 0.25)
    k.put("ceilingFan", 2.3, 2.4, z=h - 0.4)
    k.put("frame2", w - 0.04, 2.6, rot=-90, z=1.6)
    k.put("tv-remote-control", 2.7, 2.4, rot=30, z=0.48)
    k.put("cup", 2.75, 2.8, z=0.48)
    k.put("sitMale01", w - 0.75, 3.05, rot=-90)
    k.movers = [Mover("male02", (0.9, 3.9), (1.6, 1.6), walks=True)]
    k.sunny_sky(turn=-30, strength=2)
    k.lamp("AREA", (3.3, d - 0.3, 1.7), 60, (0.95, 0.97, 1), size=1.3, look=(2, 0, 0.8))
    k.tube(2.3, 3.6, h, 25)
    k.camera((0.2, 0.2, h - 0.3), (2.9, 3.2, 0.5), 90)


@scene
def kitchen(k: Kit) -> None:
    """A kitchen under a tube lamp."""
    w, d, h = 3.2, 3.8, 2.8
    k.room(
        w,
        d,
        h,
        k.mat((0.5, 0.28, 0.2), 0.4, pattern="tile", size=0.3, second=(0.25, 0.16, 0.12)),
        k.mat((0.80, 0.80, 0.74), 0.6, dirt=0.25),
        window=(1.5, 2.3, 1.3, 2.1),
    )
    k.box(
        w / 2,
        d - 0.005,
        0.85,
        w,
        0.012,
        0.5,
        k.mat((0.75, 0.8, 0.82), 0.15, pattern="brick", size=0.1, second=(0.5, 0.5, 0.5)),
    )
    for i, name in enumerate(("lowerCabinet", "sinkCabinet", "lowerCabinet", "lowerCabinet")):
        k.put(name, 0.95 + i * 0.6, d - 0.32)
    for i in (0, 3):
        k.put("upperCabinet", 0.95 + i * 0.6, d - 0.22, z=1.5)
    k.put("refrigerator", w - 0.5, 2.5, rot=-90, scale=0.92)
    k.put("water_cooler", 0.22, 3.0, rot=90)
    k.put("propane-stove", 2.75, d - 0.3, z=0.89)
    for name, x in (("toaster", 1.05), ("spiceTower", 2.1), ("boiler", 0.85), ("bowlWithFruits", 2.4)):
        k.put(name, x, d - 0.35, z=0.89, rot=k.rng.uniform(-30, 30))
    k.put("tableWithTablecloth", 1.7, 1.7, rot=10)
    k.put("plasticChair", 1.1, 1.75, rot=80)
    k.put("plasticChair", 2.25, 1.5, rot=-75)
    k.put("teapot", 1.65, 1.7, z=0.75)
    k.put("plate-and-ustensils", 1.85, 1.55, z=0.75)
    k.put("bullet-trash-can", 0.3, 1.8, scale=0.8)
    k.put("clothes_washing_machine", w - 0.33, 1.75, rot=-90)
    k.put("old_jar", w - 0.3, 1.7, z=0.88)
    k.grey_sky(strength=0.8)
    k.tube(1.6, 2.0, h, 55)
    k.camera((0.2, 0.2, h - 0.2), (2.0, 2.9, 0.65), 88)


@scene
def kost_room(k: Kit) -> None:
    """A small rented room with a mattress on the floor."""
    w, d, h = 2.8, 3.2, 2.7
    k.room(
        w,
        d,
        h,
        k.mat((0.8, 0.8, 0.78), 0.25, pattern="tile", size=0.3, second=(0.5, 0.5, 0.48)),
        k.mat((0.45, 0.68, 0.66), 0.9, dirt=0.3),
        window=(0.3, 1.2, 1.2, 2.1),
        door=2.2,
    )
    k.curtains(0.2, 1.3, d - 0.1, 1.0, 2.2, (0.7, 0.5, 0.2), open_=0.15)
    k.box(0.85, d - 1.15, 0, 1.2, 1.95, 0.17, k.mat((0.35, 0.3, 0.5), 0.95, dirt=0.3), bevel=0.05)
    k.blanket(0.9, d - 1.35, 0.15, 1.25, 1.3, k.mat((0.6, 0.25, 0.2), 0.95, dirt=0.3), rumple=0.09)
    for x in (0.55, 1.1):
        k.box(
            x,
            d - 0.4,
            0.17,
            0.5,
            0.33,
            0.11,
            k.mat((0.8, 0.78, 0.7), 0.95, dirt=0.2),
            rot=k.rng.uniform(-12, 12),
            bevel=0.05,
        )
    k.put("verticalShelves", w - 0.22, 2.1, rot=-90)
    k.put("clothes-rack", 0.3, 1.15, rot=90)
    for i, color in enumerate(_GARMENTS):
        hem = 0.04 * (i % 3)
        k.drape(0.3, 0.85 + 0.13 * i, 0.48 - hem, 0.44, 0.72 + hem, k.mat(color, 0.95), folds=2)
    k.put("frame1", 0.03, 2.5, 90, z=1.6, scale=1.4)
    k.put("laptop", w - 0.35, 1.0, -90, z=0.45)
    k.put("suitcase", 2.5, d - 0.35, 20, scale=0.8)
    k.put("children_table", w - 0.35, 1.15, rot=-90)
    k.put("book", w - 0.35, 1.15, rot=-80, z=0.45)
    k.put("tableFan", 1.75, 2.5, rot=-20)
    k.put("open-cardboard-box", 1.9, d - 0.9, scale=0.7, rot=25)
    k.put("sneakers", 1.7, 1.0, rot=40)
    k.put("backpack", w - 0.35, 1.65, rot=-70)
    k.put("folded_clothes", 1.15, 1.1, rot=20)
    k.put("basketball", 1.6, 2.95)
    k.dark_sky((0.01, 0.012, 0.02))
    k.tube(1.4, 1.5, h, 36)
    k.camera((w - 0.15, 0.15, h - 0.2), (0.9, 2.4, 0.3), 92)


@scene
def warung(k: Kit) -> None:
    """A neighbourhood shop, shelves full."""
    w, d, h = 4.2, 4.6, 2.9
    k.room(
        w,
        d,
        h,
        k.mat((0.55, 0.54, 0.5), 0.5, pattern="tile", size=0.3, second=(0.25, 0.25, 0.24)),
        k.mat((0.2, 0.5, 0.45), 0.9, dirt=0.3),
    )
    k.goods(1.3, d - 0.22, 2.3, 0.4, 2.2, rows=5)
    k.goods(3.35, d - 0.22, 1.5, 0.4, 2.2, rows=5)
    k.goods(w - 0.22, 2.9, 2.4, 0.4, 1.9, rows=4, rot=-90)
    k.goods(2.0, 2.7, 1.6, 0.5, 1.3, rows=3)
    k.put("chest-freezer", 0.4, 3.1, rot=90, scale=1.2)
    k.box(1.0, 1.5, 0, 1.5, 0.5, 0.95, k.mat((0.45, 0.3, 0.18), 0.5), rot=0, bevel=0.02)
    for i in range(5):
        col = k.rng.choice(((0.6, 0.1, 0.08), (0.6, 0.5, 0.2), (0.2, 0.3, 0.15), (0.7, 0.68, 0.6)))
        k.cyl(0.5 + i * 0.2, 1.5, 0.95, 0.07, 0.2, k.mat(col, 0.3, dirt=0), n=12)
    k.put("shopping-basket", 3.1, 1.5, rot=20, scale=0.6)
    k.put("cardboard-box", 3.7, 1.75, rot=12)
    k.put("cardboard-box", 3.72, 1.75, rot=-5, z=0.3, scale=0.9)
    k.put("holdingFemale01", 3.15, 2.75, rot=-140)
    k.put("stool", 0.5, 2.1)
    k.dark_sky((0.3, 0.32, 0.35))
    k.tube(1.4, 2.0, h, 45)
    k.tube(2.9, 3.3, h, 45)
    k.camera((0.2, 0.2, h - 0.2), (2.6, 3.2, 0.65), 90)


@scene
def corridor(k: Kit) -> None:
    """A corridor of doors, no furniture."""
    w, d, h = 1.9, 14.0, 2.8
    k.room(
        w,
        d,
        h,
        k.mat((0.7, 0.68, 0.62), 0.15, pattern="tile", size=0.6, second=(0.4, 0.38, 0.35)),
        k.mat((0.78, 0.77, 0.70), 0.7, dirt=0.2),
        window=(0.6, 1.3, 1.1, 2.2),
    )
    leaf, frame = k.mat((0.30, 0.19, 0.11), 0.4, dirt=0.2), k.mat((0.55, 0.52, 0.46), 0.5)
    for i, y in enumerate((2.6, 5.4, 8.2, 11.0)):
        for x, off in ((0.01, 0), (w - 0.01, 0.9)):
            k.box(x, y + off, 0, 0.05, 0.9, 2.05, leaf)
            for s in (-0.48, 0.48, 0):
                k.box(
                    x,
                    y + off + s,
                    2.05 if s == 0 else 0,
                    0.09 if s == 0 else 0.08,
                    1.05 if s == 0 else 0.07,
                    0.07 if s == 0 else 2.1,
                    frame,
                )
            k.box(x, y + off + 0.65, 1.5, 0.04, 0.1, 0.14, k.mat((0.8, 0.8, 0.8), 0.4))
        k.tube(w / 2, y, h, 26 if i != 2 else 3, 0.6)
    k.put("fireExtinguisher", w - 0.12, 4.6, rot=-90, z=0.6)
    k.put("emergencySign", w / 2, 9.6, z=2.45)
    k.put("dustbin", 0.2, 4.1)
    k.put("doormat", 0.35, 2.6, rot=90)
    k.grey_sky(strength=1.2)
    k.movers = [Mover("male01", (0.75, 9.0), (0.95, 3.2), walks=True)]
    k.camera((0.95, 0.15, h - 0.25), (0.95, 6.5, 0.9), 80)


@scene
def room_bright_window(k: Kit) -> None:
    """A room whose large window shows a lawn and houses: the outside inside."""
    w, d, h = 4.4, 4.4, 2.9
    k.room(
        w,
        d,
        h,
        k.mat((0.35, 0.22, 0.13), 0.3, pattern="plank", size=0.12, second=(0.12, 0.07, 0.04)),
        k.mat((0.8, 0.78, 0.74), 0.9, dirt=0.1),
        window=(0.5, 3.9, 0.5, 2.5),
    )
    k.curtains(0.2, 4.2, d - 0.14, 0.05, 2.65, (0.82, 0.8, 0.74), open_=0.68)
    k.put("desk", 3.6, 3.0, rot=-90)
    k.put("office-chair", 2.8, 3.0, rot=70)
    k.put("couch", 0.6, 2.5, rot=90)
    k.put("table-with-leaning-feet", 2.1, 1.8, rot=90)
    k.put("bowlWithFruits", 2.1, 1.9, z=0.75)
    k.put("chair", 2.8, 1.6, rot=-80)
    k.put("decorativePlant", 0.5, 3.9)
    k.put("wall-flat-tv", w - 0.08, 1.6, rot=-90, z=1.2)
    for x in (-9, -2, 7, 14):
        k.building(x, d + 16, 6, 6, 2, shop=False, color=(0.6, 0.56, 0.5))
    k.put("ficusTree", 3.2, d + 6)
    k.ground(k.mat((0.2, 0.25, 0.12), dirt=0.4))
    k.sunny_sky(sun=40, turn=200, strength=1.0)
    k.lamp("AREA", (2.2, d - 0.35, 1.5), 40, (0.95, 0.97, 1), size=2.2, look=(2.2, 0, 0.6))
    k.camera((0.2, 0.2, h - 0.3), (2.6, 3.4, 0.8), 88)
