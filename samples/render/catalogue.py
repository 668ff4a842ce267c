"""What is in `samples/`: one `View` per camera, with its label, slices, camera settings and clip.

This is the only list: the renderer, the manifest and the tests read it. Standard library only.
"""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Label = Literal["street", "indoor"]
Look = Literal["day", "rain", "night", "ir"]

COLUMNS = ("path", "label", "group", "kind", "flags", "seed", "models")
MANIFEST = "samples.csv"
WIDTH_PX, HEIGHT_PX, FPS = 640, 360, 8
SEED = 1


@dataclass(frozen=True)
class Osd:
    """Text that the camera burns into the picture: a clock and a name, in the manner of one maker."""

    name: str
    when: dt.datetime
    style: Literal["outline", "box", "bitmap"] = "outline"
    clock: str = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Clip:
    """A few seconds of the view with its movers; `gop_s` is the distance between keyframes."""

    seconds: float = 5.0
    gop_s: int = 2


@dataclass(frozen=True)
class View:
    """One camera: which scene it sees, what the product should say, and how it develops the light.

    `scene` names a builder in `rooms` or `streets`, `group` the place (views of one place share it), `key`
    scales the exposure. A clip always shows the `osd`, a still only when `osd_on_still`.
    """

    scene: str
    label: Label
    kind: str
    flags: str
    osd: Osd
    group: str
    look: Look = "day"
    key: float = 1.0
    still: bool = True
    osd_on_still: bool = False
    clip: Clip | None = None

    def outputs(self) -> list[tuple[str, str]]:
        """File name and flags of every file made from this view."""
        made = []
        if self.still:
            made.append((f"{self.scene}-{SEED}.jpg", self.flags + (" osd" if self.osd_on_still else "")))
        if self.clip:
            made.append((f"{self.scene}-{SEED}.mp4", self.flags + " clip osd"))
        return made


def _at(clock: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2025-06-14T{clock}")


_SPELT, _EUROPEAN = "%Y-%m-%d %a %H:%M:%S", "%d-%m-%Y %H:%M:%S"

# Half of the stills of each label carry an OSD, in the same styles: text must not tell a street from a room.
VIEWS = (
    View("bedroom-day", "indoor", "bedroom", "day", Osd("CAM 3", _at("09:12:40")), "bedroom"),
    View(
        "bedroom-night-ir",
        "indoor",
        "bedroom",
        "night ir",
        Osd("CAM 3", _at("02:41:55"), "bitmap", _SPELT),
        "bedroom",
        look="ir",
        osd_on_still=True,
        clip=Clip(gop_s=1),
    ),
    View(
        "corridor",
        "indoor",
        "corridor",
        "lamp no-furniture",
        Osd("LT 2", _at("18:03:11"), "box"),
        "corridor",
        clip=Clip(),
    ),
    View(
        "kitchen",
        "indoor",
        "kitchen",
        "lamp",
        Osd("IPCAM", _at("19:27:30"), "outline", _EUROPEAN),
        "kitchen",
        osd_on_still=True,
    ),
    View(
        "kost-room", "indoor", "boarding-room", "lamp mattress", Osd("KAMAR 4", _at("20:15:08")), "kost-room"
    ),
    View(
        "living-room",
        "indoor",
        "living-room",
        "day",
        Osd("CAM 01", _at("10:31:07")),
        "living-room",
        clip=Clip(),
    ),
    View(
        "room-bright-window",
        "indoor",
        "room-window",
        "day backlight bright-window",
        Osd("Camera 02", _at("11:46:19"), "box"),
        "room-bright-window",
        key=0.8,
        osd_on_still=True,
    ),
    View(
        "warung",
        "indoor",
        "shop",
        "lamp",
        Osd("WARUNG", _at("16:58:42"), "bitmap", _SPELT),
        "warung",
        osd_on_still=True,
    ),
    View(
        "canal-side",
        "street",
        "canal",
        "day water",
        Osd("KALI 07", _at("08:20:33"), "bitmap", _SPELT),
        "canal-side",
        osd_on_still=True,
    ),
    View(
        "car-park-from-above",
        "street",
        "car-park",
        "day from-above no-sky",
        Osd("PARKIR 1", _at("13:05:01")),
        "car-park-from-above",
    ),
    View(
        "house-front-gate",
        "street",
        "house-front",
        "day gate",
        Osd("Camera 01", _at("15:37:26"), "box"),
        "house-front",
        osd_on_still=True,
    ),
    View(
        "house-front-night-ir",
        "street",
        "house-front",
        "night ir gate",
        Osd("Camera 01", _at("01:08:47"), "bitmap", _SPELT),
        "house-front",
        look="ir",
        still=False,
        clip=Clip(gop_s=1),
    ),
    View("junction", "street", "junction", "day", Osd("CAM 01", _at("10:31:07")), "junction", clip=Clip()),
    View(
        "kampung-alley",
        "street",
        "alley",
        "day narrow",
        Osd("GANG 2", _at("14:22:50"), "box"),
        "kampung-alley",
    ),
    View(
        "night-street",
        "street",
        "road",
        "night lamps",
        Osd("SIMPANG 4", _at("21:47:03"), "outline", _EUROPEAN),
        "junction",
        look="night",
        key=0.5,
        osd_on_still=True,
        clip=Clip(gop_s=1),
    ),
    View(
        "plaza-from-above",
        "street",
        "plaza",
        "day from-above no-sky no-road",
        Osd("TAMAN", _at("12:10:38")),
        "plaza-from-above",
    ),
    View(
        "rainy-road",
        "street",
        "road",
        "rain grey wet",
        Osd("CAM 12", _at("17:15:59"), "outline"),
        "rainy-road",
        look="rain",
        key=0.75,
        osd_on_still=True,
    ),
)


def rows(view: View, models: Iterable[str]) -> list[dict[str, str]]:
    """Manifest rows of the files of `view`, in which the named 3D `models` can be seen."""
    return [
        {
            "path": name,
            "label": view.label,
            "group": view.group,
            "kind": view.kind,
            "flags": flags,
            "seed": str(SEED),
            "models": " ".join(sorted(models)),
        }
        for name, flags in view.outputs()
    ]


def read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the manifest in `folder` by path; empty when there is none yet."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as f:
        return {row["path"]: row for row in csv.DictReader(f)}


def write_manifest(folder: Path, manifest: dict[str, dict[str, str]]) -> None:
    """Write the manifest sorted by path, one row a file."""
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        out.writeheader()
        out.writerows(manifest[path] for path in sorted(manifest))
