"""Passwords that stood in a configuration, given a place of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scenecheck.atomic import write_whole
from scenecheck.errors import UsageError
from scenecheck.feeds.entries import FIELDS
from scenecheck.feeds.write import shown_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from scenecheck.feeds.write import Entry
    from scenecheck.importers.read import Found

Login = tuple[str, str]
"""User and password: feeds that share both share one variable or file."""


def in_variables(found: Sequence[Found]) -> tuple[list[Entry], dict[str, list[str]]]:
    """Every password in an environment variable: the entries, and by variable the feeds that need it."""
    taken = {f.variable for f in found if f.variable}
    names: dict[Login, str] = {}
    for login, ids in _logins(found).items():
        name = base = _variable(ids[0])
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names[login] = name
    return _placed(found, {login: {"env": name} for login, name in names.items()})


def in_files(
    found: Sequence[Found], folder: Path, *, beside: Path | None, force: bool
) -> tuple[list[Entry], dict[str, list[str]]]:
    """Every password in a file of ``folder`` that only its owner may read; paths as seen from ``beside``.

    Returns the entries, and by variable the feeds whose password was a placeholder already. Raises
    UsageError when a file is there already (nothing is written then) or cannot be written.
    """
    places = {login: folder / ids[0] for login, ids in _logins(found).items()}
    for place in places.values():
        if not force and place.exists():
            raise UsageError("bad-option", f"{place}: is there already", "--force replaces it")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(
            "bad-option", f"{folder}: {e.strerror}", "give a folder that can be written"
        ) from None
    for (_, password), place in places.items():
        write_whole(place, f"{password}\n", force=force, mode=0o600)
    return _placed(found, {login: {"file": shown_path(p, beside)} for login, p in places.items()})


def _logins(found: Iterable[Found]) -> dict[Login, list[str]]:
    logins: dict[Login, list[str]] = {}
    for one in found:
        if one.password is not None:
            logins.setdefault(_login(one, one.password), []).append(one.entry["id"])
    return logins


def _login(found: Found, password: str) -> Login:
    return str(found.entry.get("user", "")), password


def _placed(
    found: Iterable[Found], places: Mapping[Login, dict[str, str]]
) -> tuple[list[Entry], dict[str, list[str]]]:
    entries: list[Entry] = []
    variables: dict[str, list[str]] = {}
    for one in found:
        entry = dict(one.entry)
        if one.variable is not None:
            entry["password"] = {"env": one.variable}
        elif one.password is not None:
            entry["password"] = places[_login(one, one.password)]
        place = entry.get("password", {})
        if (one.variable or one.password) and "env" in place:
            variables.setdefault(place["env"], []).append(entry["id"])
        entries.append({name: entry[name] for name in FIELDS if name in entry})
    return entries, variables


def _variable(feed_id: str) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", feed_id.upper()).strip("_")
    return f"{name}_PASSWORD" if name[:1].isalpha() else f"CAMERA_{name}_PASSWORD"
