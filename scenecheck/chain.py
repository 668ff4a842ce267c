"""A hash chain over the gate's decisions: whoever changes, drops or swaps one breaks every later link.

It tells accidents and quiet edits. Who can write the log *and* the head kept elsewhere can forge both.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GENESIS = "0" * 64
"""What the first record follows."""


@dataclass(frozen=True, slots=True)
class Link:
    """One record, numbered from 1, and the SHA-256 over it and the link before."""

    n: int
    record: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last link, as kept apart from the chain: without it a chain cut short looks whole."""

    n: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Check:
    """``n`` links that hold; ``broken`` numbers the first record that does not, and ``why``."""

    head: Head
    broken: int | None = None
    why: str = ""


def canonical(record: Mapping[str, object]) -> str:
    """One text per record: JSON with sorted keys, no spaces, ASCII. Raises ValueError for what JSON
    cannot say (NaN), TypeError for what it does not know."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def link(record: Mapping[str, object], *, after: Head) -> Link:
    """The next link."""
    text, n = canonical(record), after.n + 1
    return Link(n, text, _hash(n, text, after.hash))


def verify(links: Iterable[Link], *, head: Head | None = None) -> Check:
    """Check links from the first on, in one pass, and where given that the chain reaches ``head``."""
    at = Head()
    is_head_met = head is None or head == at
    for found in links:
        if found.n != at.n + 1:
            return Check(at, at.n + 1, f"record {at.n + 1} is missing: record {found.n} follows {at.n}")
        if found.hash != _hash(found.n, found.record, at.hash):
            return Check(at, found.n, f"record {found.n} is not what was written")
        at = Head(found.n, found.hash)
        if head is not None and at.n == head.n:
            if at.hash != head.hash:
                return Check(at, at.n, f"record {at.n} is not the one that the head names")
            is_head_met = True
    if head is not None and not is_head_met:
        return Check(at, at.n + 1, f"record {at.n + 1} is missing: the chain once reached {head.n}")
    return Check(at)


def _hash(n: int, text: str, previous: str) -> str:
    # Fixed-width previous hash first, so that no two different triples give the same bytes.
    return hashlib.sha256(f"{previous}{n}:{text}".encode()).hexdigest()
