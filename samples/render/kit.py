"""The scene builders' tool box, and the register in which they enter their scenes."""

from __future__ import annotations

from collections.abc import Callable

from samples.render.room_parts import RoomParts
from samples.render.street_parts import StreetParts


class Kit(RoomParts, StreetParts):
    """Rooms have views out of the window, so both sets of parts are in one box."""


Builder = Callable[[Kit], None]
SCENES: dict[str, Builder] = {}


def scene(build: Builder) -> Builder:
    """Enter a builder under its name, dashes for underscores."""
    SCENES[build.__name__.replace("_", "-")] = build
    return build
