"""The 3D models of Debian's package `sweethome3d-furniture`: found, imported, repaired, credited."""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING

import bpy
import numpy as np

import bmesh  # isort: skip  (comes with bpy, which must be there first)

if TYPE_CHECKING:
    from pathlib import Path

CREDITS = {
    "Scopia": "Scopia Visual Interfaces Systems, s.l. (scopia.es), CC-BY 3.0",
    "KatorLegaz": "Andrew Kator & Jennifer Legaz (katorlegaz.com), CC-BY 3.0 US",
    "Reallusion": "Reallusion (reallusion.com), CC-BY 3.0 US",
    "BlendSwap-CC-BY": "{creator} (BlendSwap), CC-BY 3.0",
    "BlendSwap-CC-0": "{creator} (BlendSwap), CC0 1.0",
}
_FLIPPED_SHARE = 0.02
ATTRIBUTION = "ATTRIBUTION.txt"
_PREAMBLE = """\
The pictures and clips in this folder were rendered by samples/render. They show 3D models, scaled and
re-coloured, from Debian's package sweethome3d-furniture. Licences: https://creativecommons.org/licenses/by/3.0/,
https://creativecommons.org/licenses/by/3.0/us/, https://creativecommons.org/publicdomain/zero/1.0/.
"""

Color = tuple[float, float, float]


class Assets:
    """Models by folder name (`suv`, `bed1`), unpacked from the .sh3f archives when first asked for."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.work = work
        self.used: set[str] = set()
        self._index: dict[str, tuple[Path, dict[str, str]]] = {}
        self._cache: dict[tuple[str, Color | None], bpy.types.Collection] = {}
        for pack in sorted(folder.glob("*.sh3f")):
            if pack.stem in CREDITS:
                self._read_catalogue(pack)
        if not self._index:
            raise FileNotFoundError(f"{folder}: no .sh3f archive of sweethome3d-furniture")

    def _read_catalogue(self, pack: Path) -> None:
        found: dict[str, dict[str, str]] = {}
        with zipfile.ZipFile(pack) as z:
            text = z.read("PluginFurnitureCatalog.properties").decode("latin-1")
        for line in text.splitlines():
            key, eq, value = line.strip().partition("=")
            name, hash_, number = key.partition("#")
            if eq and hash_:
                found.setdefault(number, {})[name] = value
        for row in found.values():
            if "model" in row:
                self._index.setdefault(row["model"].split("/")[-2], (pack, row))

    def collection(self, name: str, tint: Color | None = None) -> bpy.types.Collection:
        """The model in its catalogue size, foot at z = 0, centred, front towards -y, its paint tinted."""
        key = (name, tint)
        if key in self._cache:
            return self._cache[key]
        pack, row = self._index[name]
        inner = row["model"].lstrip("/")
        with zipfile.ZipFile(pack) as z:
            folder = inner.rsplit("/", 1)[0] + "/"
            z.extractall(self.work, [n for n in z.namelist() if n.startswith(folder)])
        bpy.ops.object.select_all(action="DESELECT")
        bpy.ops.wm.obj_import(filepath=str(self.work / inner), forward_axis="NEGATIVE_Z", up_axis="Y")
        parts = list(bpy.context.selected_objects)
        _fit(parts, self.size_m(name))
        coll = bpy.data.collections.new("/".join(map(str, key)))
        for part in parts:
            _unflip(part.data)
            for c in list(part.users_collection):
                c.objects.unlink(part)
            coll.objects.link(part)
            for material in filter(None, part.data.materials):
                _mend(material, (self.work / inner).parent)
                _tune(material, tint)
        self.used.add(name)
        self._cache[key] = coll
        return coll

    def size_m(self, name: str) -> tuple[float, float, float]:
        """Width, depth and height in metres."""
        row = self._index[name][1]
        width, depth, height = (float(row[k]) / 100 for k in ("width", "depth", "height"))
        return width, depth, height

    def credit(self, name: str) -> str:
        """Who made the model, and its licence."""
        pack, row = self._index[name]
        return CREDITS[pack.stem].format(creator=row.get("creator", "a contributor"))

    def write_attribution(self, folder: Path, models: set[str]) -> None:
        """Write ATTRIBUTION.txt: every model that can be seen, by author and licence."""
        by: dict[str, list[str]] = {}
        for model in sorted(models):
            by.setdefault(self.credit(model), []).append(model)
        lines = [f"{who}: {', '.join(what)}" for who, what in sorted(by.items())]
        (folder / ATTRIBUTION).write_text(_PREAMBLE + "\n" + "\n".join(lines) + "\n", encoding="utf-8")


def _fit(parts: list[bpy.types.Object], size_m: tuple[float, float, float]) -> None:
    points = np.array([o.matrix_world @ v.co for o in parts for v in o.data.vertices])
    low, high = points.min(0), points.max(0)
    scale = np.divide(size_m, np.maximum(high - low, 1e-6))
    for o in parts:
        matrix = np.array(o.matrix_world)
        co = np.array([v.co for v in o.data.vertices]) @ matrix[:3, :3].T + matrix[:3, 3]
        co = (co - [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]) * scale
        o.data.vertices.foreach_set("co", co.ravel().astype(np.float32))
        o.matrix_world.identity()
        o.data.update()


def _unflip(mesh: bpy.types.Mesh) -> None:
    # In some models every second triangle is wound the wrong way: smooth shading turns them black.
    b = bmesh.new()
    b.from_mesh(mesh)
    shared = [e for e in b.edges if len(e.link_faces) == 2]
    flipped = sum(not e.is_contiguous for e in shared)
    if flipped > _FLIPPED_SHARE * len(shared):
        bmesh.ops.recalc_face_normals(b, faces=b.faces)
        b.to_mesh(mesh)
        if mesh.attributes.get("custom_normal"):
            mesh.attributes.remove(mesh.attributes["custom_normal"])
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
        mesh.set_sharp_from_angle(angle=math.radians(60))
    b.free()


def _mend(material: bpy.types.Material, folder: Path) -> None:
    # Some models name a texture on their author's disk: take the folder's only picture, else plain brown.
    nodes = material.node_tree.nodes
    for node in [n for n in nodes if n.type == "TEX_IMAGE" and not (n.image and n.image.size[0])]:
        found = [f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".png")]
        if len(found) == 1:
            node.image = bpy.data.images.load(str(found[0]))
            continue
        for link in list(node.outputs[0].links):
            if link.to_socket.type == "RGBA":
                link.to_socket.default_value = (0.3, 0.18, 0.1, 1)
        nodes.remove(node)


def _tune(material: bpy.types.Material, tint: Color | None) -> None:
    # OBJ materials carry no usable gloss; give cloth, paint and glass plausible ones.
    shader = next((n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED"), None)
    if shader is None:
        return
    low = material.name.lower()
    paint = any(w in low for w in ("firstcolor", "first-color", "paint", "accentcolor"))
    paint = paint or low.split(".")[0] == "car"
    glassy = any(w in low for w in ("glass", "window", "mirror", "chrome"))
    shader.inputs["Roughness"].default_value = 0.12 if glassy else 0.3 if paint else 0.7
    shader.inputs["Metallic"].default_value = 0.8 if "chrome" in low else 0.0
    if paint and tint:
        shader.inputs["Base Color"].default_value = (*tint, 1)
    if glassy and shader.inputs["Alpha"].default_value < 0.05:
        shader.inputs["Alpha"].default_value = 0.25
