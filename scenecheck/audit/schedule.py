"""Which feed is next: fair among hosts, never more at one host than it bears. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


class Schedule:
    """Feeds in the order they are to be judged, hosts in turn, each host at most ``per_host`` at a time.

    ``feeds`` pairs ids with hosts; None is no host (a file) and has no limit. ``per_host`` 0 is no limit.
    """

    def __init__(self, feeds: Iterable[tuple[str, Hashable | None]], *, per_host: int) -> None:
        self._per_host = per_host
        self._host = dict(feeds)
        self._busy: dict[Hashable, int] = {}
        self._waiting: OrderedDict[Hashable | None, deque[str]] = OrderedDict()
        self._blocked: dict[Hashable | None, deque[str]] = {}
        self._n_waiting = len(self._host)
        for feed, host in self._host.items():
            self._waiting.setdefault(host, deque()).append(feed)

    def __len__(self) -> int:
        """How many feeds wait for their turn."""
        return self._n_waiting

    def take(self) -> str | None:
        """The next feed, now counted at its host; None when every host with waiting feeds is full."""
        if not self._waiting:
            return None
        host, feeds = self._waiting.popitem(last=False)
        feed = feeds.popleft()
        self._n_waiting -= 1
        if host is not None:
            self._busy[host] = self._busy.get(host, 0) + 1
        if feeds:
            (self._blocked if self._is_full(host) else self._waiting)[host] = feeds
        return feed

    def release(self, feed: str) -> None:
        """The feed's connection is closed."""
        host = self._host[feed]
        if host is None:
            return
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]
        if host in self._blocked and not self._is_full(host):
            self._waiting[host] = self._blocked.pop(host)

    def _is_full(self, host: Hashable | None) -> bool:
        return host is not None and 0 < self._per_host <= self._busy.get(host, 0)


def fair_order(feeds: Iterable[tuple[str, Hashable | None]]) -> list[str]:
    """The order in which a Schedule without limits takes them: the first of each host, then the second, …"""
    schedule, order = Schedule(feeds, per_host=0), []
    while (feed := schedule.take()) is not None:
        order.append(feed)
    return order
