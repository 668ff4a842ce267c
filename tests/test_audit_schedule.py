"""The order of an audit: everybody once, hosts in turn, none with more than it bears."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.audit.schedule import Schedule, fair_order

HOSTS = st.sampled_from(["recorder", "camera-1", "camera-2", None])


@pytest.mark.parametrize(
    ("hosts", "per_host", "taken"),
    [
        ([], 1, []),
        (["a", "a", "a"], 1, [0]),
        (["a", "a", "a"], 2, [0, 1]),
        (["a", "a", "a"], 0, [0, 1, 2]),
        (["a", "a", "b", "b"], 1, [0, 2]),
        (["a", "a", "b", "c"], 0, [0, 2, 3, 1]),
        ([None, None, "a", "a"], 1, [0, 2, 1]),
    ],
)
def test_take_gives_hosts_in_turn_until_each_is_full(
    hosts: list[str | None], per_host: int, taken: list[int]
) -> None:
    schedule = Schedule([(str(i), host) for i, host in enumerate(hosts)], per_host=per_host)
    found = []
    while (feed := schedule.take()) is not None:
        found.append(int(feed))
    assert found == taken
    assert len(schedule) == len(hosts) - len(taken)


@given(st.lists(HOSTS, max_size=40), st.integers(0, 3), st.data())
def test_any_order_of_ends_gives_every_feed_once_and_no_host_too_many(
    hosts: list[str | None], per_host: int, data: st.DataObject
) -> None:
    host_of = {str(i): host for i, host in enumerate(hosts)}
    schedule, in_flight, done = Schedule(host_of.items(), per_host=per_host), [], []
    while schedule or in_flight:
        feed = schedule.take()
        if feed is not None:
            in_flight.append(feed)
            at_host = [f for f in in_flight if host_of[f] == host_of[feed]]
            assert host_of[feed] is None or per_host == 0 or len(at_host) <= per_host
        if in_flight and (feed is None or data.draw(st.booleans())):
            ended = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
            schedule.release(ended)
            done.append(ended)
        # None is only said when every waiting feed's host is full: else the audit would stand still.
        assert feed is not None or in_flight or not schedule or done
    assert sorted(done, key=int) == list(host_of)


@given(st.lists(HOSTS, max_size=40))
def test_fair_order_takes_the_first_of_each_host_before_the_second_of_any(hosts: list[str | None]) -> None:
    order = fair_order((str(i), host) for i, host in enumerate(hosts))
    rank = {str(i): hosts[:i].count(host) for i, host in enumerate(hosts)}
    assert sorted(order, key=int) == [str(i) for i in range(len(hosts))]
    assert [rank[f] for f in order] == sorted(rank.values())
