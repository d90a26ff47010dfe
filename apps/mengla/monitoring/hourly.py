"""How the collections of the last hours ended, hour by hour, counted from the collections themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo import DESCENDING

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.store.outcomes import Outcome

SHOWN_HOURS = 24
MAX_COUNTED = 200_000
# Of an hour and of a minute in UTC, as the list of collections is filtered by the time of the end.
HOUR_FORMAT = "%Y-%m-%dT%H"
_MINUTE_FORMAT = "%Y-%m-%dT%H:%M"
_OPEN_END = ".."
OUTCOMES = (Outcome.SUCCEEDED, Outcome.EMPTY, Outcome.FAILED, Outcome.SPARED, Outcome.CANCELLED)
_ANSWERED = (CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: when it began (UTC without zone), and how many collections ended in it, by outcome."""

    began_at: datetime
    counts: dict[Outcome, int]


@dataclass(frozen=True, slots=True)
class LastHours:
    """The hours, the oldest first; not complete when there were too many collections to count them all."""

    hours: tuple[Hour, ...]
    is_complete: bool

    def total(self, *outcomes: Outcome) -> int:
        """Return how many collections ended with one of these outcomes."""
        return sum(hour.counts[outcome] for hour in self.hours for outcome in outcomes)

    @property
    def since(self) -> str:
        """When the first hour began, as the list of collections is filtered by it."""
        return since_text(self.hours[0].began_at)

    @property
    def success_rate(self) -> float | None:
        """The share of the requests that the service answered, None without requests."""
        answered = self.total(Outcome.SUCCEEDED, Outcome.EMPTY)
        asked = answered + self.total(Outcome.FAILED)
        return answered / asked if asked else None


def since_text(instant: datetime) -> str:
    """Return what filters the list of collections by their end: since this minute (UTC) on."""
    return f"{instant:{_MINUTE_FORMAT}}{_OPEN_END}"


def parse_ended(text: str | None) -> tuple[datetime, datetime | None] | None:
    """Return the time that such a text, or an hour, names: from when, and until when if it ends.

    Both instants have the time zone UTC. None for any other text.
    """
    text = text or ""
    is_open = text.endswith(_OPEN_END)
    try:
        form = _MINUTE_FORMAT if is_open else HOUR_FORMAT
        began_at = datetime.strptime(text.removesuffix(_OPEN_END), form).replace(tzinfo=UTC)
    except ValueError:
        return None
    if not datetime.min.year < began_at.year < datetime.max.year:  # its neighbours may not exist
        return None
    return began_at, None if is_open else began_at + timedelta(hours=1)


def collections_by_hour() -> LastHours:
    """Count the collections that ended in the current hour and in the hours before it.

    Only the newest :data:`MAX_COUNTED` are counted, by the index on ``finished_at``.
    """
    this_hour = utc_now().replace(minute=0, second=0, microsecond=0)
    began = [this_hour - timedelta(hours=age) for age in reversed(range(SHOWN_HOURS))]
    rows = collection_of(Collection).aggregate(
        [
            {"$match": {"finished_at": {"$gte": began[0]}}},
            {"$sort": {"finished_at": DESCENDING}},
            {"$limit": MAX_COUNTED},
            {
                "$group": {
                    "_id": {
                        "hour": {"$dateTrunc": {"date": "$finished_at", "unit": "hour"}},
                        "status": "$status",
                        "was_asked": {"$ne": ["$execution_id", ""]},
                    },
                    "count": {"$sum": 1},
                }
            },
        ]
    )
    found = {hour: dict.fromkeys(OUTCOMES, 0) for hour in began}
    counted = 0
    for row in rows:
        counted += row["count"]
        of_hour = found.get(row["_id"]["hour"])
        if of_hour is not None:
            of_hour[_outcome(row["_id"]["status"], was_asked=row["_id"]["was_asked"])] += row["count"]
    return LastHours(tuple(Hour(*one) for one in found.items()), is_complete=counted < MAX_COUNTED)


def _outcome(status: str, *, was_asked: bool) -> Outcome:
    if status in _ANSWERED and not was_asked:
        return Outcome.SPARED
    return Outcome(status.lower())
