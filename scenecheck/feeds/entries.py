"""One entry of an inventory: which fields there are, what each may hold, and how it becomes a Feed."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from scenecheck.duration import EXPECTED, seconds
from scenecheck.errors import UsageError
from scenecheck.feeds.model import Feed, Problem, Publish, Secret, filled
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scenecheck.feeds.tree import Node

MAX_TEXT = 2000
"""Characters of one text: longer than any address a camera answers to."""

_SCHEMES = ("rtsp", "rtsps", "http", "https")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")
_NO_SCHEME = re.compile(r"//|[^/]*:.*@|[\w.-]+:\d+(/|$)")
"""An address whose scheme was forgotten, `user:password@host/path` among them: never taken for a path."""

_SPLIT = re.compile(r"[\s;]+")
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def is_address(text: str) -> bool:
    """Whether a text is read as an address, or meant as one; what is not is a path."""
    return _SCHEME.match(text) is not None or _NO_SCHEME.match(text) is not None


def _clean(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    if not text.isprintable() or len(text) > MAX_TEXT:
        raise ValueError("not printable, or too long")
    return text


def _listed(value: object) -> object:
    """A list, or the words of a text, as a spreadsheet's cell holds them."""
    return [word for word in _SPLIT.split(value) if word] if isinstance(value, str) else value


def _truth(value: object) -> object:
    if isinstance(value, str):
        if value.lower() not in _TRUTHS:
            raise ValueError("not a truth value")
        return _TRUTHS[value.lower()]
    return value


def _spanned(value: object) -> object:
    return seconds(value) if isinstance(value, str) else value


Text = Annotated[str, AfterValidator(_clean)]
PathText = Annotated[str, AfterValidator(_printable)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
Word = Annotated[str, Field(pattern=r"^[^\s;]+$", max_length=100), AfterValidator(_clean)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(max_length=100)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretEntry(_Entry):
    """Where a password stands."""

    env: Variable | None = None
    file: PathText | None = None

    @model_validator(mode="after")
    def _one_place(self) -> SecretEntry:
        if (self.env is None) == (self.file is None):
            raise ValueError("one of env and file")
        return self


class PublishEntry(_Entry):
    """Where a feed is published."""

    hls: PathText | None = Field(default=None, description="a directory for index.m3u8 and its segments")
    rtsp: PathText | None = Field(default=None, description="an address as rtsp://host:8554/name")
    snapshot: Annotated[PathText, Field(pattern=r"(?i)\.jpe?g$")] | None = Field(
        default=None, description="the path of a .jpg file"
    )
    mask: Literal["card", "pixelate", "blur"] = Field(
        default="card", description="one of card, pixelate, blur"
    )
    audio: Truth = Field(default=False, description="true or false")


class _Common(_Entry):
    """What may stand in ``defaults`` as well."""

    user: Text = Field(default="", description="a user name", repr=False)
    password: SecretEntry | None = Field(
        default=None, description="{env: NAME} or {file: PATH}, NAME of letters, digits and _"
    )
    tags: Words = Field(default=(), description="a list of words without spaces and semicolons")
    expect: Literal["street", "indoor"] = Field(default="street", description="street or indoor")
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp")
    deadline: Annotated[float, BeforeValidator(_spanned)] = Field(default=15.0, description=EXPECTED)
    frames: int = Field(default=5, ge=1, le=60, description="a whole number from 1 to 60")
    tls_ca: PathText | None = Field(default=None, description="the path of a PEM file")
    insecure: Truth = Field(default=False, description="true or false")
    allow_hosts: Words = Field(default=(), description="a list of host names")


class FeedEntry(_Common):
    """One feed as it stands in the file."""

    id: Id = Field(description="letters a-z, digits, '.', '_', '-', beginning with a letter or digit")
    name: Text = Field(default="", description="a text")
    url: PathText = Field(description="rtsp://, rtsps://, http://, https:// or the path of a file or folder")
    publish: PublishEntry | None = Field(
        default=None, description="a mapping with any of hls, rtsp, snapshot, mask, audio"
    )


class MaskEntry(_Entry):
    mask: Literal["card", "pixelate", "blur"] = Field(
        default="card", description="one of card, pixelate, blur"
    )


class DefaultsEntry(_Common):
    """What holds for every feed that does not say otherwise."""

    publish: MaskEntry | None = Field(default=None, description="{mask: card}, pixelate or blur")


HIDDEN = frozenset({"password", "user", "url", "publish.rtsp"})
"""Fields whose value is not repeated in a message: it may be, or hold, a secret."""


FIELDS = (
    *("id", "name", "url", "user", "password", "tags", "expect", "publish", "transport", "deadline"),
    *("frames", "tls_ca", "insecure", "allow_hosts"),
)
"""The fields of a feed in the order in which they are written and named."""


def plain(node: Node) -> Any:
    """The tree below a node as dictionaries, lists and texts."""
    value = node.value
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return value


def check(
    model: type[_Entry], values: Mapping[str, Any], node: Node, feed: str
) -> tuple[Any | None, list[Problem]]:
    """Validate ``values`` (of ``node``, for the lines). Returns the entry or None, and all problems."""
    try:
        return model.model_validate(values), []
    except ValidationError as e:
        problems: dict[str, Problem] = {}
        for error in e.errors(include_url=False, include_context=False):
            problem = _problem(model, error["type"], error["loc"], error.get("input"), node, feed)
            problems.setdefault(problem.field, problem)
        return None, list(problems.values())


def _problem(
    model: type[_Entry], kind: str, loc: tuple[int | str, ...], got: object, node: Node, feed: str
) -> Problem:
    top = str(loc[0]) if loc else ""
    names = [top]
    if top == "publish" and len(loc) > 1 and isinstance(loc[1], str):
        names.append(loc[1])
    line = line_of(node, names)
    name = ".".join(names)
    if kind == "extra_forbidden" and top != "password":
        return unknown_field(_fields(model, names[0] if len(names) > 1 else ""), name, line, feed)
    allowed = _description(model, names)
    if kind == "missing":
        return Problem(line, feed, name, "nothing", f"needed: {allowed}")
    return Problem(line, feed, name, shown(name, got), f"allowed: {allowed}")


def unknown_field(known: Iterable[str], name: str, line: int, feed: str) -> Problem:
    """The problem of a field that does not exist, with the one that may have been meant."""
    known, inner = list(known), name.rpartition(".")[2]
    close = difflib.get_close_matches(inner, known, n=1, cutoff=0.6)
    text = (f"did you mean {close[0]}? " if close else "") + f"allowed: {', '.join(known)}"
    shown_name = name[:60] if name.isprintable() else "?"
    return Problem(line, feed, shown_name, "an unknown field", text)


def _fields(model: type[_Entry], group: str) -> dict[str, Any]:
    if group == "publish":
        return (MaskEntry if model is DefaultsEntry else PublishEntry).model_fields
    return {name: model.model_fields[name] for name in FIELDS if name in model.model_fields}


def _description(model: type[_Entry], names: list[str]) -> str:
    fields = _fields(model, names[0] if len(names) > 1 else "")
    info = fields.get(names[-1])
    return (info.description if info is not None else None) or ""


def line_of(node: Node, names: list[str]) -> int:
    """The line of a field, or of what it is missing from."""
    for name in names:
        inner = node.value.get(name) if isinstance(node.value, dict) else None
        if inner is None:
            break
        node = inner
    return node.line


def shown(name: str, got: object) -> str:
    """A wrong value as it may be shown: short, printable, and never what may be a secret."""
    if name == "password":
        return "something else (not shown)"  # be it a key: `{hunter2}` is a mapping in YAML
    if got is None or isinstance(got, (dict, list)):
        return "nothing" if got is None else "a mapping" if isinstance(got, dict) else "a list"
    if name in HIDDEN:
        return "a text (not shown)"
    text = "".join(c if c.isprintable() else "?" for c in str(got)[:60])
    return f"'{text}{'…' if len(str(got)) > 60 else ''}'"


class Maker:
    """Turns an entry into a Feed and collects what does not fit together.

    ``problems`` keep it from being one, ``warnings`` do not. Relative paths count from ``folder``.
    """

    def __init__(self, entry: FeedEntry, node: Node, folder: Path, label: str) -> None:
        self.entry, self.node, self.folder, self.label = entry, node, folder, label
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.source = self._source()
        self.publish = self._publish()
        if entry.tls_ca and entry.insecure:
            self._wrong("insecure", "insecure beside tls_ca", "allowed: one of them")

    def feed(self) -> Feed | None:
        """The value, or None where there are problems."""
        entry = self.entry
        if self.problems or self.source is None:
            return None
        secret = None
        if entry.password is not None and isinstance(self.source, Address):
            file = entry.password.file
            secret = Secret(entry.password.env, None if file is None else self._path(file))
        return Feed(
            id=entry.id,
            source=self.source,
            name=entry.name,
            secret=secret,
            tags=entry.tags,
            expect=entry.expect,
            publish=self.publish,
            transport=entry.transport,
            deadline_s=entry.deadline,
            frames=entry.frames,
            tls_ca=None if entry.tls_ca is None else self._path(entry.tls_ca),
            insecure=entry.insecure,
            allow_hosts=entry.allow_hosts,
            line=self.node.line,
        )

    def _path(self, text: str) -> Path:
        return Path(os.path.normpath(self.folder / text))

    def _wrong(self, name: str, got: str, allowed: str) -> None:
        line = line_of(self.node, name.split("."))
        self.problems.append(Problem(line, self.label, name, got, allowed))

    def _source(self) -> Address | Path | None:
        text = self.entry.url
        scheme = _SCHEME.match(text)
        if not is_address(text):
            return self._path(text)
        if scheme is None or not scheme[2] or scheme[1].lower() not in _SCHEMES:
            self._wrong("url", _scheme_got(scheme), f"allowed: {_description(FeedEntry, ['url'])}")
            return None
        address = self._address("url", text)
        if address is None:
            return None
        if self.entry.user:
            address = replace(address, user=self.entry.user)
        self._check_credentials(address)
        return address

    def _check_credentials(self, address: Address) -> None:
        has_password = self.entry.password is not None
        if address.password:
            place = "password: {env: NAME} or {file: PATH}"
            self._warn("url", "a password in the address", f"better: {place}")
        asks = "{password}" in address.query
        if asks and not (has_password or address.password):
            self._wrong("url", "{password} in the query", "needed: password: {env: NAME} or {file: PATH}")
        canary = "scenecheckcanary"
        if asks and canary in str(filled(address, canary)):
            allowed = "allowed: only under a name such as pwd, password or token, which is never shown"
            self._wrong("url", "{password} in the query", allowed)

    def _warn(self, name: str, got: str, allowed: str) -> None:
        line = line_of(self.node, name.split("."))
        self.warnings.append(Problem(line, self.label, name, got, allowed))

    def _address(self, name: str, text: str) -> Address | None:
        # The errors of Address quote what they could not split; here that may be half a password.
        if any(c.isspace() for c in text):
            self._wrong(name, "an address with spaces", "allowed: spaces written as %20")
            return None
        try:
            return Address.parse(text)
        except UsageError:
            self._wrong(
                name,
                "an address that cannot be split into credentials, host and path (not shown)",
                "allowed: scheme://host[:port]/path, user and password in fields of their own",
            )
            return None

    def _publish(self) -> Publish | None:
        entry = self.entry.publish
        if entry is None:
            return None
        if not (entry.hls or entry.rtsp or entry.snapshot):
            self._wrong("publish", "no place", "needed: any of hls, rtsp, snapshot")
        address = None
        if entry.rtsp:
            scheme = _SCHEME.match(entry.rtsp)
            if scheme is None or not scheme[2] or scheme[1].lower() not in {"rtsp", "rtsps"}:
                self._wrong(
                    "publish.rtsp",
                    _scheme_got(scheme),
                    f"allowed: {_description(FeedEntry, ['publish', 'rtsp'])}",
                )
            else:
                address = self._address("publish.rtsp", entry.rtsp)
                if address is not None and address.password:
                    self._warn("publish.rtsp", "a password in the address", "keep this file to yourself")
        return Publish(
            hls=None if entry.hls is None else self._path(entry.hls),
            rtsp=address,
            snapshot=None if entry.snapshot is None else self._path(entry.snapshot),
            mask=entry.mask,
            audio=entry.audio,
        )


def _scheme_got(scheme: re.Match[str] | None) -> str:
    if scheme is None:
        return "an address without its scheme (not shown)"
    name = scheme[1].lower()
    close = difflib.get_close_matches(name, _SCHEMES, n=1)
    hint = f" (did you mean {close[0]}://?)" if close else ""
    # Without the slashes this may be anything, `user:password@host` for one.
    return (f"{name[:20]}://" if scheme[2] else "a text that is no address (not shown)") + hint
