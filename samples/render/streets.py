"""The streets and squares, seen from poles and from house walls."""

from __future__ import annotations

from samples.render.kit import Kit, scene
from samples.render.stage import Mover

_BRIGHT = (
    (0.35, 0.6, 0.62),
    (0.75, 0.66, 0.35),
    (0.7, 0.45, 0.4),
    (0.72, 0.7, 0.66),
    (0.4, 0.6, 0.4),
    (0.62, 0.56, 0.7),
)


def _junction(k: Kit, *, night: bool) -> None:
    lit, lamp = (0.45, ((1, 0.78, 0.5), 900)) if night else (0, ((1, 0.95, 0.85), 0))
    k.ground(k.paving((0.4, 0.38, 0.35)))
    a = k.asphalt()
    k.road((-70, 0), (70, 0), 11, a, gap=(63, 77))
    k.road((0, -70), (0, 70), 9, a, gap=(63, 77), z=0.003)
    for x, y, length, turn in ((-7.5, 0, 10, 90), (7.5, 0, 10, 90), (0, 8, 8, 0), (0, -8, 8, 0)):
        k.zebra(x, y, length, 3, rot=turn)
    k.row_of_houses(12, 15, 6, 0, lit=lit)
    k.row_of_houses(-12, 15, 6, 0, lit=lit, along=(-1, 0))
    k.row_of_houses(12.5, -12, 4, -90, lit=lit, along=(0, -1))
    k.row_of_houses(11, 26, 5, -90, lit=lit, along=(0, 1))
    k.row_of_houses(-11, 26, 5, 90, lit=lit, along=(0, 1))
    for x, y, arm in ((-7, 8.5, (0, -1)), (26, 7.5, (0, -1)), (-30, 7.5, (0, -1)), (6.5, 30, (-1, 0))):
        k.pole(x, y, 8.5, cables=[(x + 34, y + 0.3, 8.3)] if arm == (0, -1) else [], lamp=lamp, arm=arm)
    for x, y in ((9, 9), (-10, 9.5), (22, 8.5), (-20, 8.2), (7.5, 22), (-7.5, 34)):
        k.tree(k.rng.choice(("ficusTree", "acacia")), x, y, 0.8)
    for x, y in ((6.2, 6.9), (-6.2, 6.9)):
        k.cyl(x, y, 0, 0.08, 3.4, k.mat((0.1, 0.1, 0.1), 0.5), n=10)
        k.box(x, y, 2.6, 0.32, 0.25, 0.95, k.mat((0.03, 0.03, 0.03), 0.5))
        k.box(x, y - 0.14, 3.25, 0.2, 0.02, 0.2, k.mat((1, 0.05, 0.02), emit=6, dirt=0))
    k.traffic(
        [
            (-2.2, 14, 180),
            (-14, 2.6, 90),
            (-21, 2.8, 90),
            (14, -2.6, -90),
            (27, -2.4, -90),
            (2.3, -12, 0),
            (2.4, 30, 0),
        ]
    )
    k.put("scooter2", -11.2, 1.0, 90, tint=(0.5, 0.02, 0.02))
    k.put("scooter2", -12.6, 3.4, 90, tint=(0.02, 0.02, 0.3))
    k.put("scooter", -10.9, 4.3, 90)
    k.put("truck", 36, 2.6, 90)
    for n, x, y, r in (("male01", 8.6, 7.4, 120), ("female02", 9.4, 7.9, 200), ("male02", 1.5, 8.2, 90)):
        k.put(n, x, y, r)
    k.movers = [
        Mover(
            "concept-sedan-01v2", (8.6, -2.5), (-15, -2.5), (0.7, 0.7, 0.72), headlights=night, shadow_m=2.0
        ),
        Mover("female01", (-3.6, 8.6), (2.6, 8.6), walks=True, shadow_m=1.6),
    ]
    k.camera((-11, -11.5, 7.6), (3, 7.5, 0), 78)
    if night:
        k.dark_sky((0.007, 0.008, 0.013))
    else:
        k.sunny_sky(sun=52, turn=215)


@scene
def junction(k: Kit) -> None:
    """A town junction from a pole on the corner."""
    _junction(k, night=False)


def _alley_house(k: Kit, y: float, side: int) -> None:
    color = k.rng.choice(_BRIGHT)
    x = side * (5.2 + k.rng.uniform(0, 0.4))
    k.building(x, y, 6.2, 6, k.rng.choice((1, 1, 2)), rot=-90 * side, color=color, shop=False, h=3)
    if k.rng.random() < 0.7:
        wall = k.mat(tuple(v * 0.9 for v in color), 0.9, dirt=0.5)
        k.box(side * 1.55, y - 1.5, 0, 0.12, 3.2, 1.1, wall)
    for _ in range(3):
        at = (side * 1.3, y + k.rng.uniform(-3, 3))
        k.cyl(*at, 0, 0.16, 0.28, k.mat((0.45, 0.2, 0.12)), n=12, top=0.2)
        plant = k.rng.choice(("ficus", "plant", "augalas"))
        k.put(plant, *at, k.rng.uniform(0, 360), z=0.24, scale=0.8)


@scene
def kampung_alley(k: Kit) -> None:
    """A narrow alley between low houses, no car gets in."""
    k.ground(k.paving((0.42, 0.40, 0.36), 0.21))
    k.box(0, 0, -0.02, 1.9, 90, 0.04, k.mat((0.38, 0.37, 0.35), 0.85, dirt=0.5))
    for i in range(6):
        for side in (-1, 1):
            _alley_house(k, i * 6.6, side)
    for y in (5, 18, 31):
        k.pole(1.45, y, 6.5, cables=[(-1.4, y + 13, 6.2), (1.45, y + 13, 6.5)])
    for x, y, r, t in (
        (-1.0, 6.2, 170, (0.4, 0.02, 0.02)),
        (-1.0, 7.3, 175, (0.02, 0.02, 0.02)),
        (1.0, 14, 10, (0.03, 0.06, 0.3)),
    ):
        k.put("scooter2", x, y, r, tint=t)
    k.put("bicycle", 1.1, 8.5, 5)
    k.put("clothes-horse", -1.2, 10.6, 90)
    k.put("plasticChair", 1.15, 5.2, 100)
    k.put("female01", 0.1, 11, 170)
    k.put("girlStanding", -0.5, 13, 20)
    k.tree("ficusTree", -2.6, 24, 0.8)
    k.tree("coconutTree", 6, 36, 0.9)
    k.sunny_sky(sun=62, turn=150)
    k.camera((0.8, -1.2, 3.5), (-0.15, 9, 0.75), 76)


@scene
def plaza_from_above(k: Kit) -> None:
    """Paving, benches and people from above: neither sky nor road."""
    k.ground(k.paving((0.50, 0.46, 0.42), 0.22))
    for r_, col, z in ((5.2, (0.36, 0.17, 0.12), 0), (3.9, (0.55, 0.52, 0.48), 0.01)):
        k.cyl(1.5, 6, z - 0.02, r_, 0.025, k.paving(col, 0.2), n=48)
    k.cyl(1.5, 6, 0, 1.7, 0.45, k.mat((0.5, 0.48, 0.45), 0.8, dirt=0.4), n=40)
    k.cyl(1.5, 6, 0.4, 1.5, 0.1, k.mat((0.1, 0.16, 0.05), 0.95, dirt=0.5), n=40)
    k.tree("ficusTree", 1.5, 6, 0.55)
    for x, y, r in ((-3.2, 4.5, 60), (6.4, 5.5, -80), (2.2, 10.8, 180)):
        k.put("concrete-bench", x, y, r)
    for n, x, y in (
        ("male01", -1.5, 2.6),
        ("female02", -0.9, 2.9),
        ("girlStanding", 4.2, 2.4),
        ("male03", 4.9, 8.4),
        ("female01", -4, 8),
        ("boyStanding", 5, 2.9),
    ):
        k.put(n, x, y, k.rng.uniform(0, 360))
    k.put("park-trashcan", -3.9, 3.2)
    k.sunny_sky(sun=50, turn=300)
    k.camera((0, -2.4, 8.5), (0.8, 4.6, 0), 74)


@scene
def car_park_from_above(k: Kit) -> None:
    """Rows of parked cars from above."""
    k.ground(k.asphalt())
    white = k.road_paint()
    spots = []
    for row, (y, rot) in enumerate(((3.5, 0), (9.2, 180), (17.5, 0), (23.2, 180))):
        for i in range(-6, 7):
            k.box(i * 2.6 - 1.3, y, 0, 0.1, 5, 0.006, white)
            if k.rng.random() < (0.7, 0.6, 0.8, 0.8)[row] and -15 < i * 2.6 < 16:
                spots.append(
                    (
                        i * 2.6 + k.rng.uniform(-0.15, 0.15),
                        y + k.rng.uniform(-0.3, 0.3),
                        rot if k.rng.random() < 0.8 else rot + 180,
                    )
                )
    k.box(0, 6.35, 0, 34, 0.12, 0.006, white)
    k.box(0, 20.35, 0, 34, 0.5, 0.15, k.mat((0.5, 0.5, 0.48), 0.8))
    k.traffic(spots)
    for x in (-9, 0, 9):
        k.tree("acacia", x, 20.4, 0.45)
    for i in range(5):
        k.put("scooter2", -7.6 + i * 0.75, -0.3, 15, tint=(k.rng.random() * 0.5, 0.03, 0.05))
    k.box(0, 27.2, 0, 90, 0.2, 1.0, k.mat((0.5, 0.48, 0.44), 0.9, dirt=0.5))
    k.box(0, 29.4, -0.02, 90, 3.6, 0.12, k.paving((0.42, 0.40, 0.37)))
    k.row_of_houses(-32, 36, 9, 0, shop=0.6)
    for x in (-16, -5, 7, 18):
        k.tree("ficusTree", x, 29, 0.7)
    k.put("male02", 1.5, 13, 200)
    k.put("shopping-basket", 3.2, 12.2, 30)
    k.sunny_sky(sun=44, turn=60)
    k.camera((-2, -5, 9.5), (1, 7.4, 0), 78)


@scene
def night_street(k: Kit) -> None:
    """The same junction by street lamps."""
    _junction(k, night=True)


@scene
def rainy_road(k: Kit) -> None:
    """A shopping street in the rain."""
    k.ground(k.paving((0.3, 0.29, 0.27), rough=0.35, dirt=0.5))
    k.road((0, -30), (0, 120), 10, k.asphalt(0.3))
    k.row_of_houses(-12, 4, 9, 90, lit=0.15, shop=0.7, along=(0, 1))
    k.row_of_houses(12, 4, 9, -90, lit=0.15, shop=0.7, along=(0, 1))
    for y in (4, 26, 48, 70):
        k.pole(-6.3, y, 8.5, cables=[(-6.3, y + 22, 8.5)], lamp=((1, 0.9, 0.7), 0), arm=(1, 0))
        k.tree("ficusTree", 6.6, y + 8, 0.7)
    k.traffic([(2.6, 12, 0), (-2.4, 20, 180), (2.5, 33, 0), (-2.6, 45, 180), (2.5, 55, 0)])
    k.put("cityBus", -2.8, 62, 180)
    for x, y in ((1.2, 8), (3.6, 18.5), (-1.4, 14)):
        k.put("scooter2", x, y, 180 if x > 0 else 0, tint=(0.3, 0.02, 0.02))
    k.put("umbrella", -6.6, 9, scale=0.5, z=0.9)
    k.put("female01", -6.6, 9, 90)
    for x, y in ((2.2, 9.6), (3.1, 9.6)):
        k.box(x, y + 0.4, 0.6, 0.2, 0.06, 0.12, k.mat((1, 0.1, 0.05), emit=5, dirt=0))
    k.grey_sky()
    k.camera((-3.2, -6, 6.4), (0.8, 18, 0), 70)


def _house_front(k: Kit, *, night: bool) -> None:
    k.ground(k.mat((0.2, 0.26, 0.1), 0.95, dirt=0.5))
    k.road((-50, -1.5), (50, -1.5), 6, k.asphalt(), lane=False, kerb=False)
    k.box(0, 3.6, -0.02, 100, 3.6, 0.06, k.paving((0.45, 0.42, 0.38)))
    for x, col in (
        (-11, (0.72, 0.70, 0.66)),
        (0, (0.74, 0.64, 0.40)),
        (11.5, (0.5, 0.6, 0.62)),
        (23, (0.7, 0.62, 0.55)),
        (-22, (0.6, 0.5, 0.45)),
    ):
        k.building(x, 14, 9, 8, 1 if x else 2, color=col, shop=False)
        wall = k.mat(tuple(v * 0.85 for v in col), 0.9, dirt=0.5)
        for a, b in ((-5.6, -1.9), (2.0, 5.6)):
            k.box(x + (a + b) / 2, 5.6, 0, b - a, 0.18, 1.25, wall)
        for a in (-1.9, 2.0, -5.3, 5.3):
            k.box(x + a, 5.6, 0, 0.38, 0.38, 1.7, wall, bevel=0.03)
        bar = k.mat((0.03, 0.04, 0.05), 0.4, metal=0.5)
        for i in range(25):
            k.cyl(x - 1.65 + i * 0.14, 5.6, 0.1, 0.018, 1.5 + 0.1 * (i % 2), bar, n=6)
        for z in (0.15, 0.9, 1.45):
            k.box(x, 5.6, z, 3.5, 0.04, 0.05, bar)
        k.box(x, 8.0, -0.01, 3.4, 4.6, 0.05, k.mat((0.5, 0.48, 0.45), 0.8, dirt=0.3))
        for _ in range(4):
            k.put(
                k.rng.choice(("bush", "plant", "hedge")),
                x + k.rng.choice((-4, -3, 3.2, 4.2)),
                k.rng.uniform(6.5, 9),
                k.rng.uniform(0, 360),
                scale=0.8,
            )
    k.put("suv", 0.3, 8.2, 0, tint=(0.72, 0.72, 0.7))
    k.put("scooter2", 3.2, 4.2, 80, tint=(0.4, 0.02, 0.02))
    k.put("residential-trashcan", -2.6, 5.0)
    k.put("male01", -3.6, 3.9, 100)
    k.pole(6.2, 4.9, 7.5, cables=[(-28, 4.9, 7.5), (40, 4.9, 7.5)], lamp=((1, 0.95, 0.85), 0))
    k.tree("ficusTree", -6.6, 7.4, 0.8)
    k.tree("palm", 7.2, 8.5, 0.55)
    k.movers = [Mover("male02", (4.6, 3.0), (-0.6, 3.3), walks=True, shadow_m=1.5)]
    k.camera((-6.2, -4.2, 4.6), (1.2, 7, 0.7), 80)
    if night:
        k.dark_sky((0.003, 0.003, 0.005))
        k.lamp("SPOT", (-6.0, -4.0, 4.5), 2600, size=0.03, look=(0.8, 6, 0.6), angle=95)
    else:
        k.sunny_sky(sun=46, turn=230)


@scene
def house_front_gate(k: Kit) -> None:
    """A house front, its gate and a strip of road."""
    _house_front(k, night=False)


@scene
def house_front_night_ir(k: Kit) -> None:
    """The same front at night by the camera's own infrared lamp."""
    _house_front(k, night=True)


@scene
def canal_side(k: Kit) -> None:
    """A walled canal with a road beside it."""
    k.box(0, 20, -2.6, 7, 160, 0.1, k.mat((0.10, 0.11, 0.07), 0.06, dirt=0.3))
    stone = k.mat((0.36, 0.35, 0.32), 0.95, pattern="brick", size=0.3, second=(0.16, 0.16, 0.15), dirt=0.5)
    for s in (-1, 1):
        k.mesh(
            [(s * 3.4, -60, -2.6), (s * 3.4, 100, -2.6), (s * 4.2, 100, 0), (s * 4.2, -60, 0)],
            [(0, 1, 2, 3)],
            stone,
        )
        k.box(s * 24.2, 20, -0.1, 40, 160, 0.1, k.paving((0.40, 0.38, 0.33), dirt=0.5))
        k.box(s * 4.5, 20, 0, 0.25, 160, 0.5, k.mat((0.55, 0.54, 0.5), 0.85, dirt=0.5))
    k.road((7.6, -40), (7.6, 100), 5, k.asphalt(), lane=False, kerb=False, z=0.005)
    k.row_of_houses(15.5, -2, 9, -90, lit=0, shop=0.3, along=(0, 1))
    k.row_of_houses(-11.5, -2, 9, 90, lit=0, shop=0.2, along=(0, 1))
    for y in (3, 12, 20, 33, 45):
        k.tree(k.rng.choice(("ficusTree", "acacia", "bamboo")), -6.2, y, 0.65)
    for y in (8, 30, 52):
        k.pole(4.95, y, 7.5, cables=[(4.95, y + 22, 7.5)], lamp=((1, 0.95, 0.85), 0), arm=(1, 0))
    k.box(0, 34, -0.35, 9.2, 3.2, 0.35, k.mat((0.5, 0.49, 0.46), 0.9, dirt=0.5))
    for x in (32.5, 35.5):
        k.box(0, x, 0.0, 9.2, 0.12, 0.9, k.mat((0.3, 0.4, 0.5), 0.6))
    k.traffic([(6.6, 18, 180), (8.6, 30, 0)])
    k.put("scooter2", 6.8, 8, 0, tint=(0.3, 0.02, 0.02))
    k.put("male03", 5.4, 10, 180)
    k.put("rowboat", -1.2, 12, 12, z=-2.55)
    k.sunny_sky(sun=40, turn=140)
    k.camera((5.2, -6, 5.2), (0.6, 14, -1.2), 76)
