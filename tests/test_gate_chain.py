"""The chain over the gate's decisions, and its log in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.chain import Head, Link, canonical, link, verify
from scenecheck.errors import StoreError
from scenecheck.store import open_store
from scenecheck.store.engine import connect

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), max_size=8)


def chained(records: list[dict[str, object]]) -> tuple[list[Link], Head]:
    links, head = [], Head()
    for record in records:
        links.append(link(record, after=head))
        head = Head(links[-1].n, links[-1].hash)
    return links, head


@given(RECORDS, st.data())
def test_verify_when_one_record_is_changed_dropped_or_swapped_then_names_exactly_it(
    records: list[dict[str, object]], data: st.DataObject
) -> None:
    links, head = chained([*records, {"last": 1}])
    assert verify(links, head=head).broken is None
    assert verify(links).head == head
    at = data.draw(st.integers(0, len(links) - 1))
    for broken in (
        [*links[:at], replace(links[at], record='{"else":1}'), *links[at + 1 :]],
        [*links[:at], replace(links[at], hash="f" * 64), *links[at + 1 :]],
        [*links[:at], *links[at + 1 :]],
        [*links[:at], links[-1], *links[at:-1]] if at < len(links) - 1 else links[:-1],
    ):
        found = verify(broken, head=head)
        assert found.broken == at + 1
        assert str(at + 1) in found.why


def test_verify_when_the_end_is_cut_then_only_a_head_kept_apart_tells() -> None:
    links, head = chained([{"n": n} for n in range(4)])
    assert verify(links[:3]).broken is None
    assert verify(links[:3], head=head).broken == 4
    other, _ = chained([{"n": -n} for n in range(5)])
    assert verify(other, head=head).broken == 4
    assert verify(links, head=Head()).broken is None


def test_canonical_when_keys_are_in_another_order_then_is_the_same_text_and_refuses_nan() -> None:
    assert canonical({"b": 1, "a": "é"}) == canonical({"a": "é", "b": 1}) == '{"a":"\\u00e9","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_log_when_appended_then_holds_over_openings_and_tells_what_was_done_to_it(tmp_path: Path) -> None:
    path = str(tmp_path / "gate.db")
    with open_store(path) as store:
        assert store.verify_log().head == store.log_decisions([]) == Head()
        first = store.log_decisions([{"feed": "a", "state": "masked"}, {"feed": "b\0", "state": "open"}])
    with open_store(path) as store:
        with pytest.raises(ValueError, match="JSON"):
            store.log_decisions([{"feed": "c"}, {"feed": float("inf")}])
        head = store.log_decisions([{"feed": "c", "state": "open"}])
        assert (first.n, head.n, store.verify_log(head=first).broken) == (2, 3, None)
        assert store.verify_log(head=head).head == head
        assert store.verify_log(head=replace(head, hash="0" * 64)).broken == 3
        assert store.verify_log(head=replace(head, n=4)).broken == 4
    database = connect(path)
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM gate_log WHERE n = 3"))
    with open_store(path) as store:
        assert store.verify_log().broken == 3
        with pytest.raises(StoreError, match="does not end as it was left"):
            store.log_decisions([{"feed": "d"}])
    with database.write() as connection:
        connection.execute(sa.text("UPDATE gate_log SET record = '{}' WHERE n = 1"))
    database.engine.dispose()
    with open_store(path) as store:
        assert store.verify_log().broken == 1
