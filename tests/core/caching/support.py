"""Processes, as far as the tiers are concerned, and a clock that the test moves."""

from __future__ import annotations

from apps.core.caching.tiers import Entry, TieredCache, build_entry

START = 1_750_000_000.0


class Clock:
    """Stands in for the cache's ``time`` module."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def pass_a_second(self) -> None:
        self.now += 1


def make_process(max_entries: int = 100, max_bytes: int = 1_000_000) -> TieredCache:
    return TieredCache(l1_max_entries=max_entries, l1_max_bytes=max_bytes, l1_ttl_seconds=300)


def entry_of(text: str = "figures", *, serve_seconds: float = 3600) -> Entry:
    return build_entry(
        text.encode(), stored_at=START, fresh_until=START + 60, serve_until=START + serve_seconds
    )


def fill(process: TieredCache, text: str = "figures", group: str = "g", field: str = "-") -> None:
    process.fill(process.lookup(group, field).ticket, entry_of(text))


def read(process: TieredCache, group: str = "g", field: str = "-") -> tuple[str | None, str | None]:
    found = process.lookup(group, field)
    return (found.entry.body.decode() if found.entry else None), found.tier
