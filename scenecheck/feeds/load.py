"""A file to an Inventory, with everything that is wrong in it reported at once."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenecheck.errors import UsageError
from scenecheck.feeds.entries import (
    DefaultsEntry,
    FeedEntry,
    Maker,
    check,
    line_of,
    plain,
    shown,
    unknown_field,
)
from scenecheck.feeds.model import Inventory, InventoryError, Problem
from scenecheck.feeds.tree import Node, parse
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenecheck.feeds.model import Feed, Publish
    from scenecheck.feeds.tree import Tree

VERSION = "1"

_ROOT_FIELDS = ("version", "defaults", "feeds")


def load(path: Path) -> Inventory:
    """The inventory in a YAML or CSV file; relative paths in it count from its folder.

    Raises InventoryError with every mistake in its ``problems``, UsageError for what is no such file.
    """
    return _Loader(path, parse(path)).inventory()


def unresolved(inventory: Inventory) -> Iterator[Problem]:
    """What an inventory refers to and this machine does not have now: passwords, files, authorities."""
    for feed in inventory.feeds:
        try:
            if feed.secret is not None:
                feed.secret.read()
        except UsageError as e:
            yield Problem(feed.line, feed.id, "password", f"{feed.secret}", e.message.rpartition(": ")[2])
        if isinstance(feed.source, Path) and not feed.source.exists():
            yield Problem(feed.line, feed.id, "url", str(feed.source), "no such file or folder here")
        if feed.tls_ca is not None and not feed.tls_ca.is_file():
            yield Problem(feed.line, feed.id, "tls_ca", str(feed.tls_ca), "no such file here")


class _Loader:
    """Walks a tree once and keeps what is wrong."""

    def __init__(self, path: Path, tree: Tree) -> None:
        self.path, self.tree = path, tree
        self.folder = path.absolute().parent
        self.taken: dict[object, Maker] = {}
        self.seen: dict[str, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def inventory(self) -> Inventory:
        root = self._root()
        for line, what in self.tree.oddities:
            self._add(line, "", "", what, "allowed: each field once, and no tags")
        defaults = self._defaults(root.get("defaults"))
        feeds = tuple(self._feeds(root.get("feeds"), defaults))
        if self.problems:
            raise InventoryError.of(self.path, self.problems)
        return Inventory(feeds, self.path, tuple(self.warnings))

    def _add(self, line: int, feed: str, name: str, got: str, allowed: str) -> None:
        self.problems.append(Problem(line, feed, name, got, allowed))

    def _root(self) -> dict[str, Node]:
        """The top level; raises at once when what follows could not be understood."""
        root = self.tree.root.value
        if self.tree.uses_aliases is not None:
            self._add(
                self.tree.uses_aliases, "", "", "a YAML alias (*name)", "allowed: defaults for what repeats"
            )
        elif root is None:
            self._add(1, "", "feeds", "an empty file", "needed: a list with at least one feed")
        elif not isinstance(root, dict):
            self._add(
                1, "", "", shown("", plain(self.tree.root)), "allowed: a mapping of version, defaults, feeds"
            )
        elif "version" not in root:
            self._add(1, "", "version", "nothing", f"needed: version: {VERSION}")
        elif root["version"].value != VERSION:
            got = shown("version", root["version"].value)
            self._add(
                root["version"].line, "", "version", got, f"allowed: {VERSION}, all that this release knows"
            )
        if self.problems or not isinstance(root, dict):
            raise InventoryError.of(self.path, self.problems)
        for name in root.keys() - set(_ROOT_FIELDS):
            self.problems.append(unknown_field(_ROOT_FIELDS, name, root[name].line, ""))
        return root

    def _defaults(self, node: Node | None) -> dict[str, Any]:
        """The valid defaults; a wrong one is reported once, not again for every feed."""
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._add(node.line, "", "defaults", shown("defaults", node.value), "allowed: a mapping")
            return {}
        values = {k: v for k, v in plain(node).items() if v is not None}
        _, problems = check(DefaultsEntry, values, node, "")
        self.problems += [replace(p, field=f"defaults.{p.field}") for p in problems]
        wrong = {p.field.partition(".")[0] for p in problems}
        return {k: v for k, v in values.items() if k not in wrong}

    def _feeds(self, node: Node | None, defaults: dict[str, Any]) -> Iterator[Feed]:
        if node is None or node.value is None or node.value == []:
            line = self.tree.root.line if node is None else node.line
            self._add(line, "", "feeds", "nothing", "needed: a list with at least one feed")
            return
        if not isinstance(node.value, list):
            got = shown("feeds", node.value)
            self._add(node.line, "", "feeds", got, "allowed: a list, each feed beginning with `- id: …`")
            return
        for number, item in enumerate(node.value, start=1):
            if not isinstance(item.value, dict):
                self._add(
                    item.line, f"#{number}", "", shown("url", item.value), "allowed: a mapping: `- id: …`"
                )
                continue
            feed = self._feed(item, number, defaults)
            if feed is not None:
                yield feed

    def _feed(self, item: Node, number: int, defaults: dict[str, Any]) -> Feed | None:
        given = plain(item)
        name = given.get("id")
        label = f"#{number}"
        if isinstance(name, str):
            label = name[:60] if name.isprintable() else label
            first, line = self.seen.setdefault(name, (number, item.line))
            if first != number:
                got = f"an id given before, in line {line}"
                self._add(item.line, label, "id", got, "allowed: an id of its own")
        values = {k: v for k, v in _merged(defaults, given).items() if v is not None}
        entry, problems = check(FeedEntry, values, item, label)
        self.problems += problems
        if entry is None:
            # What is right by itself is still looked at together, so that every mistake shows at once.
            wrong = {p.field.partition(".")[0] for p in problems}
            rest = {k: v for k, v in values.items() if k not in wrong}
            entry, _ = check(FeedEntry, {"id": "x", "url": ".", **rest}, item, label)
            if entry is None:
                return None
        maker = Maker(entry, item, self.folder, label)
        self._check_places(maker)
        self.problems += maker.problems
        self.warnings += maker.warnings
        return None if problems else maker.feed()

    def _check_places(self, maker: Maker) -> None:
        """No two feeds publish to one place, and none to where it is read from."""
        for name, place in _places(maker.publish):
            line = line_of(maker.node, ["publish", name])
            first = self.taken.setdefault(place, maker)
            if first is not maker:
                there = line_of(first.node, ["publish", name])
                got = f"the place of feed {first.label} (line {there})"
                self._add(line, maker.label, f"publish.{name}", got, "allowed: a place of its own")
            if isinstance(maker.source, Address) and place == _server_place(maker.source):
                got = "the feed's own url"
                self._add(line, maker.label, f"publish.{name}", got, "allowed: another place")


def _merged(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    values = {**defaults, **given}
    publish = given.get("publish")
    if isinstance(publish, dict):
        values["publish"] = {
            k: v for k, v in {**defaults.get("publish", {}), **publish}.items() if v is not None
        }
    elif "publish" not in given:
        values.pop("publish", None)  # a default mask alone publishes nothing
    return values


def _places(publish: Publish | None) -> Iterator[tuple[str, object]]:
    if publish is None:
        return
    for name, path in (("hls", publish.hls), ("snapshot", publish.snapshot)):
        if path is not None:
            yield name, (_real_folder(path.parent), path.name)
    if publish.rtsp is not None:
        yield "rtsp", _server_place(publish.rtsp)


@functools.lru_cache(maxsize=4096)
def _real_folder(folder: Path) -> str:
    return os.path.realpath(folder)


def _server_place(address: Address) -> tuple[str, str, int, str, str]:
    port = address.port or {"rtsps": 322, "http": 80, "https": 443}.get(address.scheme, 554)
    return "server", address.host.lower(), port, address.path.rstrip("/"), address.query
