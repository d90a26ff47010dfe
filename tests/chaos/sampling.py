"""Looks at an installation all the time, from outside: was work due, and when did the next request come?"""

from __future__ import annotations

import bisect
import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pymongo
import redis
from pymongo.errors import PyMongoError

from tests.chaos.installation import BREAKER_SECONDS, REQUEST_TIMEOUT_SECONDS, SLOTS, Installation, Outage

SAMPLE_SECONDS = 0.2
_TIMEOUT_MS = 1000
# A claim that is not confirmed by then is of a dead process: the request would have failed.
_CLAIM_TIME = timedelta(seconds=2 * REQUEST_TIMEOUT_SECONDS + 1)
BREAKER_KEY = "mengla:breaker:collection_service"
PAUSE_KEY = "mengla:pause:collection_service"


@dataclass(frozen=True)
class Sample:
    """What was seen at an instant (seconds since 1970); ``is_due``: a request could be sent at once."""

    at: float
    is_due: bool
    pending: int
    in_flight: int


@dataclass(frozen=True)
class Gap:
    """How long due work waited for the next request.

    ``after`` is what the fault before it had hit, ``fault_at`` when that had ended; "" and 0.0 without one.
    """

    began: float
    seconds: float
    after: str = ""
    fault_at: float = 0.0


class Sampler(threading.Thread):
    """Takes samples until it is stopped; a server that does not respond makes a sample without work."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(name="sampler", daemon=True)
        self.samples: list[Sample] = []
        self._is_over = threading.Event()
        self._database_name = installation.databases.mongo_name
        self._mongo: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            installation.databases.mongo_uri,
            serverSelectionTimeoutMS=_TIMEOUT_MS,
            socketTimeoutMS=_TIMEOUT_MS,
        )
        self._redis = redis.Redis.from_url(
            installation.databases.redis_uri, socket_timeout=1, socket_connect_timeout=1
        )

    def run(self) -> None:
        """Take samples."""
        while not self._is_over.wait(SAMPLE_SECONDS):
            try:
                self.samples.append(self._look())
            except (PyMongoError, redis.RedisError):
                self.samples.append(Sample(time.time(), is_due=False, pending=self.pending, in_flight=0))

    def stop(self) -> None:
        """Stop and wait."""
        self._is_over.set()
        self.join()
        self._mongo.close()
        self._redis.close()

    @property
    def pending(self) -> int:
        """How many collections waited when it was last known."""
        return self.samples[-1].pending if self.samples else 0

    def _look(self) -> Sample:
        collections = self._mongo[self._database_name].mengla_collections
        now = datetime.now(UTC).replace(tzinfo=None)
        pending = collections.count_documents({"status": "PENDING"})
        # What is overdue, or was claimed by a process that is dead, must not hold its slot.
        claimed = {"execution_id": "", "dispatched_at": {"$gt": now - _CLAIM_TIME}}
        working = {"execution_id": {"$ne": ""}, "lease_until": {"$gt": now}}
        in_flight = collections.count_documents({"status": "DISPATCHED", "$or": [claimed, working]})
        due = collections.find_one({"status": "PENDING", "not_before": {"$lte": now}}, {"_id": 1})
        is_due = self._is_due(has_due=due is not None)
        return Sample(time.time(), is_due and in_flight < SLOTS, pending, in_flight)

    def _is_due(self, *, has_due: bool) -> bool:
        """Whether a request could be sent: a due collection, or the probe of a breaker that is not closed."""
        if self._redis.exists(PAUSE_KEY):
            return False
        names = ("state", "opened_at", "probe_until")
        state, opened_at, probe_until = self._redis.hmget(BREAKER_KEY, names)
        now_ms = time.time() * 1000
        match state:
            case None:
                return has_due
            case b"open":
                return now_ms >= float(opened_at or 0) + BREAKER_SECONDS * 1000
            case _:
                return now_ms >= float(probe_until or 0)


def gaps_of(samples: Iterable[Sample], calls: Sequence[float], outages: Sequence[Outage]) -> list[Gap]:
    """Return how long due work waited, each time, for the next request of any kind.

    Only the time counts in which every sample had due work and no fault was at work; what begins within it
    begins anew. So a gap begins with due work, with a request, or with the end of a fault.

    :param calls: when requests arrived at the service, sorted.
    """
    found = []
    for began, ended in _segments(samples, outages):
        within = calls[bisect.bisect_right(calls, began) : bisect.bisect_right(calls, ended)]
        for earlier, later in itertools.pairwise([began, *within, ended]):
            found.append(Gap(earlier, later - earlier, *_fault_before(earlier, outages)))
    return found


def _segments(samples: Iterable[Sample], outages: Sequence[Outage]) -> Iterator[tuple[float, float]]:
    """Yield the times, from and to, in which work was due without a break and no fault began or worked."""
    began: float | None = None
    last: Sample | None = None
    for sample in samples:
        since = last.at if last is not None else sample.at
        new = [one for one in outages if one.ended is None or one.ended >= since]
        new = [one for one in new if one.began <= sample.at]
        is_working = any(one.ended is None or one.ended > sample.at for one in new)
        if began is not None and last is not None and (new or not sample.is_due):
            yield began, last.at
            began = None
        if sample.is_due and not is_working and began is None:
            began = max((one.ended for one in new if one.ended is not None), default=sample.at)
        last = sample
    if began is not None and last is not None:
        yield began, last.at


def _fault_before(at: float, outages: Sequence[Outage]) -> tuple[str, float]:
    """Return what the last fault that had ended by then had hit, and when it had ended."""
    ends = [(one.ended, one.target) for one in outages if one.ended is not None and one.ended <= at]
    ended, target = max(ends, default=(0.0, ""))
    return target, ended
