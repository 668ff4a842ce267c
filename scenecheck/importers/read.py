"""A configuration to the entries of an inventory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from scenecheck.errors import UsageError
from scenecheck.feeds.entries import FeedEntry, Maker, check
from scenecheck.feeds.load import load
from scenecheck.feeds.tree import Node, parse
from scenecheck.feeds.write import Entry, entry_of
from scenecheck.importers import programs
from scenecheck.importers.base import UnusableError, slug, without_password
from scenecheck.redact import Address

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.importers.base import Camera

Kind = Literal["mediamtx", "frigate", "go2rtc", "inventory"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SECTIONS: tuple[tuple[str, Kind], ...] = (
    ("feeds", "inventory"),
    ("cameras", "frigate"),
    ("paths", "mediamtx"),
    ("streams", "go2rtc"),
)
"""What tells the configurations apart, the first found first: Frigate's holds go2rtc's inside."""


@dataclass(frozen=True, slots=True)
class Found:
    """A feed taken over: its entry without a password, and where that was: a variable, or in the clear."""

    entry: Entry
    line: int
    variable: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a person should know about one name of the configuration."""

    line: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.name else self.text


@dataclass(slots=True)
class Import:
    """What was found in a configuration, what was left out and why, and what to look at."""

    kind: Kind
    found: list[Found] = field(default_factory=list)
    skipped: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)


def read(path: Path, kind: Kind | None = None, *, folder: Path | None = None) -> Import:
    """Read a configuration; ``folder`` is where the inventory will lie, for relative paths.

    Raises UsageError when the file is none of these, InventoryError for an inventory with mistakes.
    """
    tree = parse(path)
    root = tree.root.value if isinstance(tree.root.value, dict) else {}
    kind = kind or next((kind for section, kind in _SECTIONS if section in root), None)
    if kind is None:
        raise UsageError(
            "bad-option",
            f"{path}: not recognised: neither `paths` (MediaMTX), `cameras` (Frigate), `streams` (go2rtc) "
            "nor `feeds`",
            "name the program with --from",
        )
    made = Import(kind)
    if kind == "inventory":
        _from_inventory(path, folder, made)
        return made
    made.skipped += [Remark(line, "", what) for line, what in tree.oddities]
    readers = {"mediamtx": programs.mediamtx, "frigate": programs.frigate, "go2rtc": programs.go2rtc}
    names: dict[str, int] = {}
    for name, line, camera in readers[kind](root):
        try:
            found = camera()
            made.found.append(_found(name, line, found, names, path))
        except UnusableError as e:
            made.skipped.append(Remark(line, _shown(name), str(e)))
        else:
            made.notes += [Remark(line, _shown(name), note) for note in found.notes]
    return made


def _shown(name: str) -> str:
    return name[:60] if name.isprintable() else "?"


def _found(name: str, line: int, camera: Camera, taken: dict[str, int], path: Path) -> Found:
    """The entry of a camera, valid and with an id of its own. Raises UnusableError."""
    address, password = camera.address, None
    if isinstance(address, Address):
        address, password = without_password(address)
    if password is not None and password.splitlines() != [password]:
        raise UnusableError("its password holds a line break")
    feed_id = slug(name)
    entry: Entry = {"id": feed_id, "name": camera.name or (name if name != feed_id else "")}
    if isinstance(address, Address):
        entry["url"] = address.url(with_credentials=False)
        entry["user"] = address.user
    else:
        entry["url"] = str(path.absolute().parent / address)
    entry |= {"tags": list(camera.tags), "transport": camera.transport, "insecure": camera.insecure}
    entry = {key: value for key, value in entry.items() if value}
    node = Node({}, line)
    probe = {**entry, "password": {"env": "X"}} if password or camera.variable else entry
    checked, problems = check(FeedEntry, probe, node, name)
    problems += Maker(checked, node, path.parent, name).problems if checked else []
    if problems:
        raise UnusableError(f"{problems[0].field}: got {problems[0].got}; {problems[0].allowed}")
    entry["id"] = _unique(feed_id, taken)
    return Found(entry, line, camera.variable, None if camera.variable else password)


def _unique(name: str, taken: dict[str, int]) -> str:
    candidate = name
    while candidate in taken:
        taken[name] += 1
        candidate = f"{name}-{taken[name]}"
    taken[candidate] = 1
    return candidate


def _from_inventory(path: Path, folder: Path | None, made: Import) -> None:
    """Another inventory: from CSV to YAML and back, passwords out of its addresses."""
    for feed in load(path).feeds:
        password = None
        if isinstance(feed.source, Address):
            try:
                source, password = without_password(feed.source)
            except UnusableError as e:
                made.skipped.append(Remark(feed.line, feed.id, str(e)))
                continue
            feed = replace(feed, source=source)  # noqa: PLW2901
        publish = feed.publish
        if publish is not None and publish.rtsp is not None and (publish.rtsp.user or publish.rtsp.password):
            made.notes.append(Remark(feed.line, feed.id, "the credentials in publish.rtsp were left out"))
        clear = None if feed.secret is not None else password
        made.found.append(Found(entry_of(feed, folder), feed.line, None, clear))
