"""What places there are: each function furnishes a `Place`; the same wares, furniture and people in and out."""

from __future__ import annotations

from itertools import product

from training.render.parts import CARTONS, COURTS, GOODS, PAINTS, PEOPLE, POTS, SITTING, STONES, TREES, Place

SEATS = "office-chair chair chair3 kitchenChair cafe_set_tonon_chair tubular_chair plasticChair thonet"
TABLES = "table4 cafe_set_mota_table oakTable round-table white_kitchen_table tableWithTablecloth cafe-table"
BEDS = "bed1 bed2 bed3 bedWithTexture iron_bed children_bed captains-bed bunkBed hospital-bed juniorBed futon"
SOFAS = (
    "beige_sofa couch couch3 leather_sofa sofa2 sofa3 winchesterSofa clear_sofa burlap_sofa mid-century-sofa"
)
CUPBOARDS = (
    "wardrobe wardrobe1 wardrobe2 dresserWithDrawers full-bookcase bookcase cupboard verticalShelves chest"
)
SMALL = "backpack suitcase cardboard-box open-cardboard-box slippers clothes-basket dustbin basketball stool plant"
KITCHEN = (
    "lowerCabinet sinkCabinet largeStove kitchenLowerCabinet kitchenDrawersCabinet refrigerator largeFridge"
)
CARS = "suv concept-sedan-01v2 van smart-car concept-sedan-02 fordFocus peugeot-308 renault-scenic seat_leon chevrolet"
STREET = "bench concrete-bench painted-bench park-trashcan bicycle scooter2"
BACKYARD = "residential-trashcan cardboard-box bicycle crate barrel clothes-horse plasticChair scooter2 pallet maceta"


# ---------------------------------------------------------------- rooms and public interiors
def supermarket(p: Place) -> None:
    """Aisles of shelves, tills before them, fruit, freezers."""
    r, front = p.rng, p.rng.choice((0, 4, 6))
    w, d, _ = p.enclose(
        (10, 20),
        (11, 19),
        (3, 4.6),
        "tile tile concrete plank",
        windows=0,
        front=front,
        sill=0.2,
        head=2.8,
        share=0.85,
        low=0.8,
    )
    shelves, x, aisle = (
        [p.shelf(2.5, r.uniform(0.8, 1.1), r.uniform(1.4, 2.1), 4) for _ in range(3)],
        r.uniform(0.8, 1.6),
        r.uniform(2.4, 3.3),
    )
    while x < w - 0.6:
        for k in range(int((d - 5) / 2.7)):
            if r.random() < 0.94:
                p.unit(r.choice(shelves), x, 1.8 + k * 2.7, 2.5)
        x += aisle
    for k in range(int((w - 3) / 2.6)):
        x = 1.8 + k * 2.6
        p.box(x, d - 1.8, 0, 0.7, 2.2, 0.9, p.paint(GOODS, 0.5), bevel=0.03)
        p.box(x, d - 1.9, 0.9, 0.45, 1.6, 0.02, p.mat((0.04, 0.04, 0.04), 0.5))
        p.box(x + 0.2, d - 1.1, 0.9, 0.3, 0.08, 0.4, p.mat((0.05, 0.06, 0.08), 0.3))
        p.thing(f"{SITTING} female01 male03", x + 0.8, d - 1.6, 90, room=0.9)
    p.crates(r.uniform(2, w - 2), d - 4, r.uniform(1, 1.9), 1.0)
    p.scatter("shopping-basket cardboard-box chest-freezer water_cooler", 3, 8)
    p.people(4, 14)


def shop(p: Place) -> None:
    """Small shop whose front is a window on the bright street."""
    r, clothes = p.rng, p.rng.random() < 0.4
    w, d, _ = p.enclose(
        (4, 8),
        (5, 9),
        (2.7, 3.6),
        "tile plank concrete brick",
        windows=0,
        front=r.choice((1, 2, 3)),
        sill=0.2,
        head=2.6,
        share=0.85,
    )
    p.flags = "bright-window"
    p.box(w / 2, 1.3, 0, r.uniform(1.2, 2.2), 0.6, 1.0, p.paint(CARTONS, 0.5), bevel=0.02)
    p.taken.append((w / 2, 1.3, 1.0))
    shelf = p.shelf(1.8, 0.7, r.uniform(1.5, 2.1), 4)
    for y, x in product(range(2, int(d - 1), 2), (0.35, w / 2, w - 0.35)):
        if not clothes and (x != w / 2 or (w > 5.5 and y > 2)):
            p.unit(shelf, x, y, 1.8)
    if clothes:
        for side in ("x0", "x1"):
            p.along("clothes-rack hanging-clothes1 hanging-clothes2 shelves", side, 0.9)
        p.scatter("mannequinBrunette mannequinMale clothes-rack", 2, 5)
    p.scatter(f"{SMALL} {POTS} chest-freezer", 2, 5)
    p.people(1, 5)


def hall(p: Place) -> None:
    """Atrium, mall or station hall: galleries, columns, kiosks, people on a large floor."""
    r, top = p.rng, p.rng.uniform(5, 10)
    w, d, h = p.enclose(
        (15, 28),
        (14, 26),
        (top, top),
        "tile tile pave concrete",
        sill=r.choice((0.1, 2.5)),
        head=9,
        share=0.8,
        low=min(5, top - 2.8),
    )
    stone, glass = p.paint(), p.mat((0.5, 0.58, 0.6), 0.1, dirt=0)
    for x, y, sx, sy in ((1.5, d / 2, 3, d), (w - 1.5, d / 2, 3, d), (w / 2, 1.5, w, 3))[
        : r.choice((0, 2, 3))
    ]:
        p.box(x, y, 3.4, sx, sy, 0.35, stone)
        edge = (x, y + 1.5, w, 0.06) if sx > sy else (x + (1.5 if x < w / 2 else -1.5), y, 0.06, d)
        p.box(*edge[:2], 3.75, *edge[2:], 1.0, glass)
    for x, y in product((w * 0.25, w * 0.75), (d * 0.25, d * 0.5, d * 0.75)):
        p.cyl(x, y, 0, 0.35, h, stone, n=20)
        p.taken.append((x, y, 0.4))
    if r.random() < 0.5:
        p.thing("escalator", w / 2, d * 0.7, r.choice((0, 180)), scale=0.8, room=2.5)
    for x, y in ((r.uniform(3, w - 3), r.uniform(3, d - 3)) for _ in range(2)):
        if p.free(x, y, 1.6):
            p.box(x, y, 0, 2.4, 1.6, 1.1, p.paint(), bevel=0.05)
            p.box(x, y + 0.7, 1.1, 2.6, 0.1, 1.3, p.paint(GOODS, 0.5))
            p.taken.append((x, y, 1.6))
    p.scatter(f"bench concrete-bench park-trashcan {POTS}", 6, 14)
    p.people(6, 24)


def warehouse(p: Place) -> None:
    """Pallet racks, fork lifts, cartons on the floor, perhaps an open gate."""
    r, gate = p.rng, p.rng.choice((0, 1))
    w, d, h = p.enclose(
        (13, 24),
        (14, 26),
        (4.5, 8),
        "concrete concrete asphalt pave",
        windows=0,
        front=gate,
        sill=0,
        head=3.6,
        share=0.3,
        low=2.5,
    )
    racks, x = (
        [p.shelf(2.7, 1.1, r.uniform(3, min(5.5, h - 0.6)), 3, pallets=True) for _ in range(3)],
        r.uniform(0.8, 2),
    )
    while x < w - 0.8:
        for k in range(int((d - 6) / 2.8)):
            if r.random() < 0.9:
                p.unit(r.choice(racks), x, 2.5 + k * 2.8, 2.7)
        x += r.uniform(3.2, 5)
    p.scatter("forkLift", 1, 3)
    p.loads(4, 10)
    p.scatter("cardboard-box crate barrel step-ladder-metal cone pallet", 4, 10)
    p.people(1, 5)


def office(p: Place) -> None:
    """Rows of desks."""
    r = p.rng
    w, d, _ = p.enclose((5, 12), (5, 11), (2.6, 3.2), "tile plank concrete", sill=0.9)
    p.along("full-bookcase filing-cabinet office_furniture1 water_cooler plant", "y1")
    for i, j in product(range(int(w / 2.4)), range(int((d - 1.5) / 2.2))):
        x, y, turn = 1.4 + i * 2.4, 1.2 + j * 2.2, r.choice((0, 180))
        p.put(r.choice(("laptop", "led_tv", "apple_pc")), x, y, turn, z=0.74)
        p.thing(
            "office-chair office_chair sitMale02",
            x,
            y - 0.75 if turn == 0 else y + 0.75,
            turn + 180 + r.uniform(-40, 40),
        )
        p.thing("desk simpleDesk officeTable biurko3 wooden_table_office lbDesk", x, y, turn, room=0.8)
    p.scatter(SMALL, 1, 4)
    p.people(0, 4)


def corridor(p: Place) -> None:
    """Doors left and right."""
    w, d, _ = p.enclose(
        (1.6, 3.2), (8, 18), (2.4, 3), "tile plank concrete brick", windows=0, front=p.rng.choice((0, 1))
    )
    leaf, frame = p.paint(CARTONS, 0.4), p.mat((0.6, 0.58, 0.52), 0.5)
    for k, x in product(range(int(d / 2.6)), (0.02, w - 0.02)):
        if p.rng.random() < 0.75:
            p.box(x, 1.6 + k * 2.6, 0, 0.08, 0.95, 2.05, leaf)
            p.box(x, 1.6 + k * 2.6, 2.05, 0.14, 1.1, 0.08, frame)
    p.along("dustbin chair plant radiator3 bench water_cooler", "x0", 0.25)
    p.people(0, 3, (0.4, 2.5, w - 0.4, d))
    p.eyes = [(w / 2, 0.25), (0.3, 0.25), (w - 0.3, d - 0.25)]


def sports_hall(p: Place) -> None:
    """A court under a roof."""
    p.enclose((14, 20), (20, 28), (6, 8), "plank tile concrete", sill=4, head=7, share=0.8, low=3)
    p.court()
    p.along("bench concrete-bench", "x0")
    p.people(2, 12)


def gym(p: Place) -> None:
    """Machines."""
    p.enclose((6, 12), (7, 13), (2.9, 4), "plank tile concrete", share=0.8)
    p.scatter(
        "treadmill indoor-bike abdominalBench fitnessTower punching-ball table_tennis",
        6,
        14,
        rots=(0, 90, 180),
    )
    p.people(1, 6)


def bedroom(p: Place) -> None:
    """Bed, cupboards, things on the floor; sometimes somebody lies or stands there."""
    r, bed = p.rng, p.rng.choice(BEDS.split())
    w, d, _ = p.enclose((2.6, 4.6), (3, 5), (2.4, 3), "plank tile concrete", windows=0.35, low=0.35)
    bw, bd, _ = p.assets.size_m(bed)
    x, y = r.uniform(bw / 2 + 0.1, w - bw / 2 - 0.1), d - bd / 2 - 0.1
    p.thing(bed, x, y, room=bd / 2)
    if bed not in ("bunkBed", "futon"):
        p.blanket(x, y - 0.3, 0.5, bw * 0.95, bd * 0.55, p.paint(GOODS, 0.95), rumple=0.07)
    if r.random() < 0.3:
        p.put(r.choice(("lyingDownMale02", "lyingDownFemale01", "boyLying")), x, y, z=0.5)
    p.along(CUPBOARDS, "x1")
    p.along(f"{CUPBOARDS} desk televisionCabinet", "x0", 0.5)
    p.scatter(f"{SMALL} {SEATS} clothes-horse tableFan", 2, 6)
    p.people(0, 1)


def living_room(p: Place) -> None:
    """Sofas round a low table."""
    r = p.rng
    w, d, _ = p.enclose(
        (3.6, 6.5), (3.8, 6.5), (2.4, 3.1), "plank tile brick concrete", sill=r.choice((0.1, 0.9)), low=0.35
    )
    if r.random() < 0.7:
        p.put("oriental-rug", w / 2, d / 2, r.choice((0, 90)), scale=r.uniform(0.8, 1.2))
    p.thing(
        "coffeeTable coffee-table2 living_room_table rattanTable round-table", w / 2, d / 2, r.choice((0, 90))
    )
    p.thing(SOFAS, w / 2, d / 2 + 1.3, room=1)
    p.thing(f"armchair1 armchair2 rattanArmchair {SOFAS}", w / 2 - 1.4, d / 2, 90, room=1)
    p.along("televisionCabinet tvStand full-bookcase piano plant aquarium", "y0", 0.7)
    p.along(f"{CUPBOARDS} {POTS} beige_sofa", "x1", 0.5)
    p.scatter(f"{SMALL} {POTS} cat dog", 2, 5)
    p.people(0, 2)


def canteen(p: Place) -> None:
    """Kitchen, café or waiting room."""
    p.enclose(
        (3.5, 11), (4, 11), (2.5, 3.6), "tile plank brick pave", sill=p.rng.choice((0.2, 1.0)), share=0.8
    )
    p.along(KITCHEN, "y1", 0.95)
    p.tables(TABLES, SEATS)
    p.scatter(f"{POTS} {SMALL}", 1, 4)
    p.people(0, 6)


# ---------------------------------------------------------------- outdoors, mostly without road or sky
def plaza(p: Place) -> None:
    """Paving with patterns, trees, benches, a fountain, people."""
    r, a = p.rng, p.open_air((9, 16), (4.5, 11), STONES)
    style, inlay = r.choice(("bands", "rings", "plain")), p.floor(STONES)
    for k in range(-4, 5) if style == "bands" else ():
        p.box(k * 4, 0, -0.02, r.uniform(0.3, 0.8), 80, 0.025, inlay)
        p.box(0, k * 4, -0.02, 80, 0.5, 0.026, inlay)
    if style == "rings":
        for k, m in enumerate((inlay, p.floor(STONES), inlay)):
            p.cyl(0, 0, -0.02, 6.5 - 2 * k, 0.023 + 0.004 * k, m, n=48)
        p.thing("fountain ficusTree", 0, 0, scale=1.3)
    for k in range(r.choice((0, 5))):
        p.box(0, a + k * 0.35, 0, 2 * a, 0.4, 0.15 * (k + 1), inlay)
    p.scatter(TREES, 0, 5, scale=(0.5, 0.9))
    p.houses(a + 9, r.choice((0, 1, 2, 3)))
    p.scatter(f"{STREET} {POTS} stroller", 4, 12)
    p.people(4, 20)


def car_park(p: Place) -> None:
    """Bays of parked cars seen from a mast."""
    r = p.rng
    p.open_air((12, 13), (6, 13), "asphalt asphalt pave concrete")
    paint, slant = p.road_paint(), r.choice((0, 0, 25))
    for y, i in product((-11, -5, 5, 11), range(-6, 7)):
        p.box(i * 2.7 - 1.35, y, 0, 0.1, 4.8, 0.006, paint, rot=slant)
        if r.random() < 0.65:
            p.thing(
                CARS,
                i * 2.7,
                y,
                r.choice((0, 180)) + slant + r.uniform(-2, 2),
                tint=r.choice(PAINTS),
                room=2.3,
            )
    for y in (-8, 14):
        p.box(0, y, 0, 36, 0.6, 0.15, p.floor("concrete grass"))
    p.scatter(TREES, 0, 3, area=(-14, 13, 14, 16), scale=(0.4, 0.7))
    p.scatter("scooter2 bicycle shopping-basket cone residential-trashcan", 1, 6)
    p.people(1, 5)


def playground(p: Place) -> None:
    """Swings and slides on sand, rubber or grass."""
    r, a = p.rng, p.open_air((6, 10), (3, 8), "grass pave concrete")
    p.cyl(0, 0, -0.02, a * 0.8, 0.03, r.choice((p.paint(COURTS, 0.95), p.floor("sand"))), n=40)
    p.scatter(
        "childSwing child_swing seesaw sandpit parque childHut trampoline table_tennis fitnessTower", 5, 9
    )
    for x in range(int(-a), int(a), 2):
        p.put("fence", x, a + 1.5, scale=1.1)
        p.put("hedgeTextured", x, a + 2.5, scale=1.3)
    p.scatter("bench painted-bench park-trashcan stroller bicycle bush", 3, 8)
    p.scatter("girlStanding boyStanding girlSittingGround female02 male01", 3, 9, scale=(0.7, 1))
    p.scatter(TREES, 1, 4, scale=(0.6, 0.8))


def courtyard(p: Place) -> None:
    """Walls on three or four sides and the sky above."""
    r, glass = p.rng, p.mat((0.04, 0.05, 0.06), 0.15, dirt=0)
    w, d, h = r.uniform(6, 13), r.uniform(6, 13), r.uniform(3, 9)
    p.ground(p.floor(STONES))
    p.area, p.heights, p.flags = (0.3, 0.3, w - 0.3, d - 0.3), (2.6, min(h - 0.2, 5.5)), "no-sky"
    corners, paint = ((0, 0), (w, 0), (w, d), (0, d), (0, 0)), p.paint()
    for i in range(r.choice((3, 4))):
        (x0, y0), (x1, y1) = corners[(i + 1) % 4], corners[(i + 1) % 4 + 1]
        p.wall((x0, y0), (x1, y1), h, r.choice((paint, p.paint())), doors=1)
        for t, z in product((0.17, 0.5, 0.83), range(1, int(h), 3)):
            size = (1.3, 0.2) if x0 != x1 else (0.2, 1.3)
            p.box(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, z, *size, 1.2, glass)
    p.along(f"bench external-unity-air-conditioning flowerBox {BACKYARD}", "x0", 0.7)
    p.along(f"hedgeTextured bush wood_logs {POTS}", "y1")
    p.scatter("ficusTree acacia bush", 1, 3, scale=(0.5, 0.8))  # what tells it from a room at night
    p.scatter(f"{BACKYARD} cafe-table", 5, 12)
    p.people(0, 5)
    p.lamps = [(w / 2, 0.6, 2.8), (0.6, d / 2, 2.8)]


def porch(p: Place) -> None:
    """Terrace before a house: from under the porch's roof furniture, lawn, hedge."""
    r = p.rng
    w, deep, h, d = r.uniform(5, 10), r.uniform(2, 4), r.uniform(2.5, 3), r.uniform(9, 15)
    p.ground(p.floor("grass grass grass sand"))
    p.area, p.heights, p.flags = (0.2, 0.2, w - 0.2, d - 2), (h - 0.5, h - 0.1), "no-road"
    p.box(w / 2, deep / 2, -0.02, w, deep, 0.1, p.floor(f"plank {STONES}"))
    p.wall((0, 0), (w, 0), h, p.paint(), doors=1)
    if r.random() < 0.7:
        p.box(w / 2, deep / 2, h, w + 0.4, deep + 0.3, 0.15, p.paint(CARTONS))
        for x in (0.1, w / 2, w - 0.1):
            p.box(x, deep - 0.1, 0, 0.16, 0.16, h, p.mat((0.7, 0.68, 0.62), 0.7))
    garden = "rattanSofa rattanTable rattanArmchair ext_table ext_chair silla_teca deckChair stoneGrillDevice plant"
    p.scatter(garden, 3, 6, area=(0.5, 0.6, w - 0.5, deep))
    p.box(w / 2, deep + 3, -0.02, r.uniform(1, 2), 6, 0.04, p.floor(STONES))
    for x in range(-8, int(w) + 9, 2):
        p.put(r.choice(("fence", "hedge", "hedgeTextured")), x, d, scale=1.35)
    lawn = (-5, deep + 1, w + 5, d - 1)
    p.scatter(
        f"bush relaxChair trampoline hammock childSwing rock2 wheelbarrow garden-hut {POTS}", 4, 10, area=lawn
    )
    p.scatter(TREES, 1, 3, area=(-5, d - 3, w + 5, d + 5), scale=(0.6, 0.8))
    p.houses(d + 16, 1)
    p.people(0, 2)
    p.lamps, p.eyes = [(w / 2, 0.5, h - 0.2)], [(0.3, 0.3), (w - 0.3, 0.3), (w / 2, 0.3)]


def market(p: Place) -> None:
    """Stalls under awnings: the supermarket's wares in the open."""
    r, a = p.rng, p.open_air((7, 11), (3.2, 8), f"{STONES} asphalt")
    gap, steel = r.uniform(1.6, 2.6), p.mat((0.4, 0.4, 0.4), 0.5, metal=0.3)
    for x, k in product((-a + 2, -gap, gap, a - 2), range(int(2 * a / 3))):
        y = -a + 1.5 + k * 3
        if r.random() < 0.15:
            continue
        p.crates(x, y, 1.1, r.uniform(1.8, 2.6))
        if r.random() < 0.75:
            cloth = p.paint((*GOODS, (0.7, 0.7, 0.68)), 0.9, pattern=r.choice((None, "plank")), size=0.25)
            roof = p.box(x, y, r.uniform(2.2, 2.6), r.uniform(1.8, 2.6), 2.9, 0.04, cloth)
            roof.rotation_euler[1] = r.uniform(-0.25, 0.25)
            for u, v in product((-0.8, 0.8), (-1.3, 1.3)):
                p.cyl(x + u, y + v, 0, 0.025, 2.3, steel, n=8)
    p.scatter("cardboard-box crate barnum scooter2 shopping-basket barrel", 3, 8)
    p.people(8, 22)
    p.houses(a + 8, r.choice((1, 2, 3)))


def arcade(p: Place) -> None:
    """Colonnade along lit shops, or a canopy, open to one side."""
    r, warm = p.rng, p.mat((1, 0.8, 0.5), emit=1.2, dirt=0)
    w, deep, h = r.uniform(16, 26), r.uniform(3, 6), r.uniform(3, 4.2)
    p.ground(p.floor(f"{STONES} asphalt"))
    p.area, p.heights, p.flags = (0.4, 0.4, w - 0.4, deep + 1), (h - 0.6, h - 0.15), "under-roof"
    p.box(w / 2, deep / 2, -0.05, w + 8, deep, r.choice((0.2, 0.055)), p.floor("tile pave brick"))
    stone, shelf = p.paint(), p.shelf(2.2, 0.6, 1.9, 4)
    p.box(w / 2, deep / 2, h, w + 8, deep + 0.6, r.uniform(0.3, 4), stone)
    for k in range(int(w / 3.5) + 1):
        p.box(k * 3.5, deep - 0.3, 0, 0.45, 0.45, h, stone)
        p.taken.append((k * 3.5, deep - 0.3, 0.4))
    if r.random() < 0.75:
        p.wall((-4, 0), (w + 4, 0), h, p.paint(), windows=6, sill=0.4, head=2.5, share=0.7)
        for k in range(6):
            x = -4 + (k + 0.5) * (w + 8) / 6
            p.box(x, -1.4, 0, 3.4, 0.1, 2.6, r.choice((warm, warm, stone)))
            p.unit(shelf, x, -0.9, 0, rot=0)
    p.scatter(f"{STREET} {POTS} cafe-chair", 4, 9, area=(1, 0.6, w - 1, deep - 0.6))
    p.scatter(f"{CARS} scooter2 bicycle", 0, 4, area=(0, deep + 2, w, deep + 7), tints=PAINTS, rots=(90, -90))
    p.people(2, 12, (0.5, 0.5, w, deep + 3))
    p.houses(deep + 16, 1)
    p.lamps = [(k * 4.0 + 2, deep / 2, h - 0.15) for k in range(int(w / 4))]
    p.eyes = [(0.6, 0.5), (0.6, deep - 0.9), (w - 0.6, 0.5), (w - 0.6, deep - 0.9), (w / 2, 0.4)]


def harbour(p: Place) -> None:
    """Quay and water."""
    r, quay = p.rng, (-10, -9, 10, -1.2)
    p.area, p.heights, p.lamps = (-10, -9, 10, 2), (3.5, 8), [(x, -6, 5) for x in (-8, 0, 8)]
    water = p.paint(
        ((0.05, 0.08, 0.09), (0.08, 0.1, 0.07), (0.06, 0.09, 0.14)), 0.08, pattern="asphalt", bump=0.6
    )
    p.box(0, 30, -1.6, 160, 60, 0.1, water)
    p.box(0, -30, -1.7, 160, 60, 1.7, p.floor(f"{STONES} asphalt plank"))
    p.box(0, -0.2, -1.6, 160, 0.5, 1.75, p.floor("concrete"))
    for x in r.sample((-8, -3, 2, 7), r.randint(0, 3)):
        p.box(x, 6, -1.0, r.uniform(1.4, 2.4), 12, 0.25, p.floor("plank"))
        p.cyl(x + 0.9, 9, -1.6, 0.12, 2.2, p.mat((0.2, 0.14, 0.1), 0.9), n=10)
    for _ in range(r.randint(2, 6)):
        p.put(
            "rowboat",
            r.uniform(-11, 11),
            r.uniform(1.5, 10),
            r.uniform(0, 360),
            z=-1.6,
            scale=r.uniform(1, 2),
        )
    for x in range(-12, 13, 4):
        p.cyl(x, -0.5, 0, 0.16, 0.45, p.mat((0.05, 0.05, 0.05), 0.6), n=12)
    p.scatter(f"crate barrel pallet {STREET} umbrellaFolded classic-lamppost", 5, 12, area=quay)
    p.people(1, 9, quay)


def alley(p: Place) -> None:
    """A passage between walls, with the things of back rooms."""
    r = p.rng
    w, d, h = r.uniform(2.2, 5), r.uniform(14, 26), r.uniform(3.5, 8)
    p.ground(p.floor(f"{STONES} asphalt"))
    p.area, p.heights, p.flags = (0.2, 0.2, w - 0.2, d - 4), (2.7, 4.2), "no-road"
    for ends, x in ((((0, d), (0, 0)), -0.9), (((w, 0), (w, d)), w + 0.9)):
        p.wall(*ends, h, p.paint(), windows=r.choice((0, 5)), share=0.3, doors=3)
        p.box(x, d / 2, 0, 1.5, d, h - 0.1, p.mat((0.1, 0.1, 0.1)))
    p.along(f"{BACKYARD} external-unity-air-conditioning", "x0", 0.5)
    p.along(f"{BACKYARD} pallet bench", "x1", 0.35)
    p.people(0, 4)
    p.houses(d + 8, 1)
    p.lamps, p.eyes = [(0.5, 5.0, 3.2), (w - 0.5, 12.0, 3.2)], [(0.4, 0.4), (w - 0.4, 0.4), (w / 2, 0.4)]


def goods_yard(p: Place) -> None:
    """The warehouse's things in the open."""
    a = p.open_air((8, 13), (3.5, 8), "concrete asphalt pave")
    p.scatter("shippingContainer garden-hut van truck", 2, 4, rots=(0, 90), tints=PAINTS)
    p.loads(4, 10)
    p.scatter("forkLift crate barrel pallet cone cardboard-box wood_logs", 5, 12)
    p.houses(a + 8, p.rng.choice((0, 1)))
    p.people(1, 6)


def court(p: Place) -> None:
    """The sports hall's court in the open."""
    a = p.open_air((8, 13), (3.5, 8), "grass asphalt concrete")
    p.court()
    for k in range(int(a)):
        p.put("fence", -a - 0.6, -a + k * 2, 90, scale=1.2)
    p.scatter(f"{STREET} backpack suitcase", 2, 6)
    p.scatter(TREES, 0, 3, area=(a, -a, a + 5, a), scale=(0.6, 0.9))
    p.people(2, 12)


def terrace(p: Place) -> None:
    """The canteen's tables in the open."""
    a = p.open_air((5, 8), (3, 6), f"{STONES} plank")
    p.tables(TABLES, SEATS, umbrellas=p.rng.choice((0, 0.4)))
    p.scatter(f"{POTS} hedgeTextured lowerCabinet", 3, 9)
    p.houses(a + 5, p.rng.choice((1, 2)))
    p.scatter(PEOPLE, 2, 8)


INDOOR = (
    supermarket,
    shop,
    hall,
    warehouse,
    office,
    corridor,
    sports_hall,
    gym,
    bedroom,
    living_room,
    canteen,
)
OUTDOOR = (
    plaza,
    car_park,
    playground,
    courtyard,
    porch,
    market,
    arcade,
    harbour,
    alley,
    goods_yard,
    court,
    terrace,
)
