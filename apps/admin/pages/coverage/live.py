"""How the coverage page follows what happens: whether anything is under way, and when its script asks again.

While nothing is under way, an answer to the script costs three small queries. So a page that is left open
notices a run that somebody else starts, and costs next to nothing until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from apps.admin.pages.coverage.filters import Filters
from apps.core.api.envelope import dump_json
from apps.mengla.monitoring.queue_state import is_any_under_way, last_end
from apps.sync_tasks.selectors import is_any_unplanned

_ACTIVE_SECONDS = 3.0
_IDLE_SECONDS = 15.0
# A page that takes long to read is read more rarely: it costs at most this part of a process.
_MOST_OF_A_PROCESS = 0.1


@dataclass(frozen=True, slots=True)
class State:
    """Whether anything is, or is about to be, under way in these data sets; and when anything ended last."""

    is_active: bool
    last_end: str


def read_state(filters: Filters) -> State:
    """Read the state. The page must be read after it, so that no change is missed."""
    ended = last_end()
    return State(
        is_active=is_any_under_way(filters.actions) or is_any_unplanned(),
        last_end="none" if ended is None else ended.isoformat(),
    )


def is_unchanged(state: State, seen: str) -> bool:
    """Whether the page need not be read again for a script that has ``seen`` this."""
    return not state.is_active and seen.partition("!")[0] == state.last_end


def nothing_new(state: State) -> dict[str, Any]:
    """Return the answer to a script whose page is up to date."""
    return {"is_active": state.is_active, "seconds": _IDLE_SECONDS}


def schedule(
    state: State, is_under_way: bool, *, content: Mapping[str, Any], read_seconds: float = 0.0
) -> dict[str, Any]:
    """Return what a script needs to ask again: what it has seen, and after how many seconds.

    :param is_under_way: whether any cell of the page is.
    """
    is_active = state.is_active or is_under_way
    seconds = max(
        _ACTIVE_SECONDS if is_active else _IDLE_SECONDS, round(read_seconds / _MOST_OF_A_PROCESS, 1)
    )
    digest = crc32(dump_json(content))
    return {"is_active": is_active, "seconds": seconds, "seen": f"{state.last_end}!{digest:08x}"}
