"""Feeds back to text: YAML and CSV that `load` reads to the same feeds."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from scenecheck.feeds.entries import FIELDS, is_address
from scenecheck.feeds.model import Feed
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Iterable

Entry = dict[str, Any]
"""A feed as it stands in a file: fields in the order of FIELDS, defaults left out."""

_NOT_GIVEN = Feed(id="-", source=Path())


def entry_of(feed: Feed, folder: Path | None = None) -> Entry:
    """The entry of a feed for a file in ``folder``; without one every path is absolute.

    A password that stands inside an address is left out: an inventory names the place of a password.
    """
    given: Entry = {"id": feed.id, "name": feed.name, "url": _source(feed.source, folder)}
    if isinstance(feed.source, Address):
        given["user"] = feed.source.user
    if feed.secret is not None:
        file = feed.secret.file
        given["password"] = {"env": feed.secret.env} if file is None else {"file": shown_path(file, folder)}
    given |= {"tags": list(feed.tags), "allow_hosts": list(feed.allow_hosts)}
    if feed.publish is not None:
        publish = feed.publish
        given["publish"] = {
            "hls": publish.hls and shown_path(publish.hls, folder),
            "rtsp": publish.rtsp and publish.rtsp.url(with_credentials=False),
            "snapshot": publish.snapshot and shown_path(publish.snapshot, folder),
            "mask": publish.mask,
            "audio": publish.audio,
        }
        given["publish"] = {k: v for k, v in given["publish"].items() if v}
    if feed.tls_ca is not None:
        given["tls_ca"] = shown_path(feed.tls_ca, folder)
    if feed.deadline_s != _NOT_GIVEN.deadline_s:
        given["deadline"] = f"{feed.deadline_s:.6f}".rstrip("0").rstrip(".") + "s"
    for name in ("expect", "transport", "frames", "insecure"):
        if getattr(feed, name) != getattr(_NOT_GIVEN, name):
            given[name] = getattr(feed, name)
    return {name: given[name] for name in FIELDS if given.get(name)}


def _source(source: Address | Path, folder: Path | None) -> str:
    if isinstance(source, Address):
        return source.url(with_credentials=False)
    text = shown_path(source, folder)
    return f"./{text}" if is_address(text) else text


def shown_path(path: Path, folder: Path | None) -> str:
    """A path as a file in ``folder`` names it: relative when it lies inside, else absolute."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
    if folder is not None and path.is_relative_to(folder.absolute()):
        return str(path.relative_to(folder.absolute()))
    return str(path)


def to_yaml(entries: Iterable[Entry]) -> str:
    """An inventory in YAML."""
    yaml = YAML()
    yaml.width = 1 << 20  # one field, one line
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    feeds = [{name: _in_line(value) for name, value in entry.items()} for entry in entries]
    yaml.dump({"version": 1, "feeds": feeds}, out)
    return out.getvalue()


def _in_line(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    made: CommentedMap | CommentedSeq = (
        CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    )
    made.fa.set_flow_style()
    return made


def to_csv(entries: Iterable[Entry]) -> str:
    """An inventory in CSV, with a column for every field that one of the entries has."""
    rows = [_flat(entry) for entry in entries]
    used = {name for row in rows for name in row}
    inner = ("password.env", "password.file", "publish.hls", "publish.rtsp", "publish.snapshot")
    order = [*FIELDS, *inner, "publish.mask", "publish.audio"]
    out = io.StringIO()
    writer = csv.DictWriter(
        out, [name for name in order if name in used | {"id", "url"}], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(entry: Entry) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, value in entry.items():
        if isinstance(value, dict):
            row |= {f"{name}.{inner}": _cell(v) for inner, v in value.items()}
        else:
            row[name] = _cell(value)
    return row


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
