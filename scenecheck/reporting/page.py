"""A run as a page for people: one file, offline, in English or Indonesian.

What it shows of a view are the mosaics and heat that the store keeps, of 16x9 cells each, whatever the label.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from scenecheck import __version__
from scenecheck.mask import MAX_CELLS, heat_layer
from scenecheck.records import FindingKind
from scenecheck.reporting.overview import LAST, URGENCY, by_urgency, plain, state, urgency
from scenecheck.reporting.sentences import (
    ADVICE,
    TITLES,
    advice_on,
    cause,
    moment,
    reason,
    sentence,
    share,
)
from scenecheck.reporting.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scenecheck.records import Mosaic, Result
    from scenecheck.reporting.overview import Overview
    from scenecheck.reporting.sentences import Language

MAX_CARDS = 12
"""Feeds with a picture under each heading of what to do first; the table has the others."""

STATES = ("street", "indoor", "unknown", "unreachable")
_ALARMING = frozenset({"indoor", "moved", "unexpected"})
_HEAT_SCALE = 6.0  # what `heat_layer` takes as log-odds, of the strength that a mosaic keeps


class _Stretch(NamedTuple):
    """Results of one state in a row: how many, from when to when."""

    state: str
    n: int
    first: str
    last: str


class _Row(NamedTuple):
    """A feed as the page shows it; ``rank`` sorts by urgency."""

    rank: int
    feed: str
    name: str
    address: str
    tags: tuple[str, ...]
    expect: str
    state: str
    kinds: tuple[str, ...]
    badges: tuple[tuple[str, str], ...]
    tone: str
    since: str
    what: str
    p_indoor: float | None
    shown: str
    judged: str
    error: str
    message: str
    advice: str
    cells: str
    heat: str
    trail: tuple[_Stretch, ...]
    accepted: str


class _Group(NamedTuple):
    """Feeds with the same thing to do."""

    kind: FindingKind
    title: str
    advice: str
    tone: str
    rows: tuple[_Row, ...]
    more: int
    causes: tuple[tuple[str, str, int, str], ...]

    @property
    def n(self) -> int:
        return len(self.rows) + self.more


def html(found: Overview, *, language: Language) -> str:
    """The page as text; the same run gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scenecheck"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["number"] = lambda n: f"{n:,}" if language == "en" else f"{n:,}".replace(",", ".")
    script = environment.get_template("audit.js.j2").render()
    rows = [_row(found, result, language) for result in found.results]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("audit.html.j2").render(
        version=__version__,
        last=LAST,
        language=language,
        t=WORDS[language],
        script=Markup(script),  # noqa: S704  (ours, from the package)
        script_hash=Markup(digest),  # noqa: S704
        run=found.run,
        started=moment(found.run.started_at),
        made=moment(found.made_at),
        verdicts=[(s, WORDS[language][s], found.verdicts[s]) for s in STATES],
        n_findings=sum(bool(r.kinds) for r in rows),
        n_alarming=sum(r.tone == "bad" for r in rows),
        groups=list(_groups(found, rows, language)),
        rows=rows,
        kinds=[(k.value, TITLES[language][k]) for k in URGENCY if any(k.value in r.kinds for r in rows)],
    )


def _shown(value: Any) -> Any:
    """What every value goes through before it is escaped."""
    return plain(value) if type(value) is str else value


def _groups(found: Overview, rows: list[_Row], language: Language) -> Iterator[_Group]:
    """Headings of what to do first: every feed with a finding stands under its most urgent one."""
    paired = [(result, row) for result, row in zip(found.results, rows, strict=True) if result.findings]
    for rank, members in groupby(paired, key=lambda pair: urgency(pair[0])):
        kind, pairs = URGENCY[rank], list(members)
        errors = Counter((r.error.code, r.error.try_) for r, _ in pairs if r.error is not None)
        has_causes = kind.group == "unreachable"
        causes = [
            (cause(code, language), code, n, advice_on(code, stored, language))
            for (code, stored), n in errors.most_common()
        ]
        shown = pairs[: 0 if has_causes else MAX_CARDS]
        yield _Group(
            kind,
            TITLES[language][kind],
            ADVICE[language][kind],
            _tone(kind),
            tuple(row for _, row in shown),
            len(pairs) - len(shown),
            tuple(causes if has_causes else ()),
        )


def _tone(kind: FindingKind | None) -> str:
    if kind is None or kind is FindingKind.RECOVERED:
        return "good"
    return "bad" if kind.group in _ALARMING else "warn"


def _row(found: Overview, result: Result, language: Language) -> _Row:
    findings, error = by_urgency(result), result.error
    p_indoor, kept = result.p_indoor, found.acceptances.get(result.feed)
    accepted = WORDS[language]["accepted"]
    # Of a view that is as it should be there is nothing to look at, and ten thousand of them fill a disk.
    mosaic = result.mosaic if findings or result.label is not result.expect else None
    return _Row(
        rank=urgency(result),
        feed=result.feed,
        name=result.name,
        address=result.address,
        tags=result.tags,
        expect=WORDS[language][result.expect.value],
        state=state(result),
        kinds=tuple(f.kind.value for f in findings),
        badges=tuple((TITLES[language][f.kind], _tone(f.kind)) for f in findings),
        tone=_tone(findings[0].kind if findings else None),
        since=moment(findings[0].since) if findings else "",
        what=" ".join(dict.fromkeys(sentence(result, f, language) for f in findings))
        or reason(result, language),
        p_indoor=p_indoor,
        shown="–" if p_indoor is None else share(p_indoor, language),
        judged=moment(result.finished_at),
        error="" if error is None else error.code,
        message="" if error is None else error.message,
        advice="" if error is None else advice_on(error.code, error.try_, language),
        cells="" if mosaic is None else _cells(mosaic),
        heat="" if mosaic is None else _heat(mosaic),
        trail=_trail(found.trails.get(result.feed, ())),
        accepted="" if kept is None else accepted.format(at=moment(kept.at), who=kept.who, why=kept.why),
    )


def _trail(results: tuple[Result, ...]) -> tuple[_Stretch, ...]:
    stretches = [list(members) for _, members in groupby(results, key=state)]
    return tuple(
        _Stretch(state(seen[0]), len(seen), moment(seen[0].finished_at), moment(seen[-1].finished_at))
        for seen in stretches
    )


def _cells(mosaic: Mosaic) -> str:
    rgb = np.frombuffer(mosaic.cells, np.uint8).reshape(*MAX_CELLS, 3)
    return _png(rgb[:, :, ::-1])


def _heat(mosaic: Mosaic) -> str:
    strength = np.frombuffer(mosaic.heat, np.int8).reshape(MAX_CELLS).astype(np.float32) / 127
    odds = np.arctanh(np.clip(strength, -0.999, 0.999)) * _HEAT_SCALE
    return _png(heat_layer(odds.astype(np.float32)))


def _png(picture: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode()
