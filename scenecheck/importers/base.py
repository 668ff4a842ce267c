"""What every importer needs: a camera as a configuration tells of it, its address, its placeholders."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scenecheck.errors import UsageError
from scenecheck.redact import MASK, Address

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.feeds.tree import Node

_MAX_MERGES = 8
_TOKEN = "scenecheckplaceholder"  # noqa: S105  (it stands where a password will)


class UnusableError(Exception):
    """Why something cannot be taken over: a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What a configuration says of a camera. ``variable`` names the environment variable of its password."""

    address: Address | Path
    variable: str | None = None
    insecure: bool = False
    transport: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Reading = tuple[str, int, Callable[[], Camera]]
"""A name of the configuration, its line, and what reads it (raises UnusableError)."""


def camera_at(text: str, variables: re.Pattern[str] | None = None, transport: str = "") -> Camera:
    """A camera by its address. Raises UnusableError for what nobody here speaks."""
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower()
    insecure = scheme in {"rtspx", "httpx"}  # go2rtc: TLS without verification
    if insecure:
        text = {"rtspx": "rtsps", "httpx": "https"}[scheme] + text[len(scheme) :]
    elif not separator or scheme not in {"rtsp", "rtsps", "http", "https"}:
        what = f"{scheme[:20]}://" if separator else "this kind of source"
        raise UnusableError(f"{what} is not spoken here; give the camera's rtsp:// or http:// address")
    address, variable, note = _address(text, variables)
    notes = (note,) if note else ()
    return Camera(address, variable, insecure, transport, notes=notes)


def _address(text: str, variables: re.Pattern[str] | None) -> tuple[Address, str | None, str | None]:
    """An address with its placeholders resolved: itself, the variable of its password, a note."""
    variable = note = None
    if variables is not None:
        text, variable, note = _resolved(text, variables)
    try:
        address = Address.parse(text)
    except UsageError:
        raise UnusableError("its address cannot be split into credentials, host and path") from None
    if variable is not None and address.password == _TOKEN:
        address = replace(address, password="")
    return address, variable, note


def _resolved(text: str, variables: re.Pattern[str]) -> tuple[str, str | None, str | None]:
    """Placeholders outside of the password become what the environment says; one that is the whole
    password stays a variable."""
    variable: str | None = None
    note: str | None = None

    def put(match: re.Match[str]) -> str:
        nonlocal variable, note
        groups = match.groupdict()
        name = str(groups.get("name") or groups.get("other"))
        if not _stands_for_password(variables.sub("x", text[: match.start()]), text[match.end() :]):
            value = os.environ.get(name) or groups.get("default")
            if not value:
                raise UnusableError(
                    f"its address needs the variable {_printable(name)}: set it, import again"
                )
            return value
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UnusableError("the placeholder of its password is no name of an environment variable")
        if variable not in {None, name}:
            raise UnusableError("its address holds several passwords; an inventory has place for one")
        variable = name
        if groups.get("default") is not None:
            note = f"the default beside {name} was not taken over: set the variable"
        return _TOKEN

    return variables.sub(put, text), variable, note


def _stands_for_password(before: str, after: str) -> bool:
    in_query = r"[?&](?i:[\w.-]*(?:pass|pwd|psw|token)[\w.-]*)=$"
    if re.search(r"://[^/@:]*:$", before):
        return after.startswith("@")
    return re.search(in_query, before) is not None and after[:1] in {"", "&", "#"}


def without_password(address: Address) -> tuple[Address, str | None]:
    """The address and, apart, the password of its credentials or of its query.

    In the query ``{password}`` takes its place. Raises UnusableError when there are several.
    """
    secrets = {address.password} - {""}
    parts = address.query.split("&")
    for number, part in enumerate(parts):
        name, equals, value = part.partition("=")
        is_secret = MASK in str(Address("http", "host", None, query=f"{name}=x"))
        if not equals or not value or value == "{password}" or not is_secret:
            continue
        if re.match(r"(?i)user|usr|login", name):
            continue
        secrets.add(unquote(value.replace("+", " ")))
        parts[number] = f"{name}={{password}}"
    if len(secrets) > 1:
        raise UnusableError("its address holds several passwords or tokens; an inventory has place for one")
    password = next(iter(secrets), None)
    return replace(address, password="", query="&".join(parts)), password


def mapping(node: Node | None, depth: int = 0) -> dict[str, Node]:
    """The fields of a node, with what its YAML merge keys (``<<``) bring in below them."""
    value = node.value if node is not None else None
    if not isinstance(value, dict):
        return {}
    merge = value.get("<<")
    if merge is None or depth >= _MAX_MERGES:
        return value
    bases = merge.value if isinstance(merge.value, list) else [merge]
    merged: dict[str, Node] = {}
    for base in reversed(bases[:_MAX_MERGES]):
        merged |= mapping(base, depth + 1)
    return merged | {key: child for key, child in value.items() if key != "<<"}


def text_of(node: Node | None) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""


def texts_of(node: Node | None) -> list[str]:
    """The texts of a list, or the one text that stands for a list."""
    if node is not None and isinstance(node.value, list):
        return [text for text in map(text_of, node.value) if text]
    return [text] if (text := text_of(node)) else []


def _printable(text: str) -> str:
    return text[:60] if text.isprintable() else "?"


def slug(name: str) -> str:
    """A name as an id: small letters, digits, ``. _ -``, beginning with a letter or digit."""
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9._-]+", "-", text).strip("-._")[:80]
    return text or "feed"
