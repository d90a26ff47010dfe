"""What is requested, and how the tier that answers is made sure of without a change of the product.

* **L1**: the same query again and again.
* **L2**: a process whose L1 holds 16 entries (``L1_CACHE_MAX_SIZE``) is asked for 200 stored rankings in
  turn, so each is out of L1 when its turn comes again; Redis keeps them all.
* **L3**: the same process is asked for 1,000 other rankings in turn, and meanwhile their entries are deleted
  from Redis ten times a second, as Redis does when its memory is full. Each request looks in L1 and in Redis,
  reads MongoDB, builds the answer, compresses it and stores it in both tiers: the whole way of a first read.
* **A miss**: each request asks for another ranking that is not stored, so it inserts a collection. No worker
  cluster runs, and the collections are deleted after each measurement, so the queue does not grow.

L2, L3 and misses count the header X-MengLa-Source or the status of every response.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import pymongo
from bson import ObjectId

from apps.core.caching.tiers import DATA_PREFIX, EPOCH_KEY
from apps.core.storage.mongo import collection_of
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action
from apps.mengla.models import Collection
from tests.benchmarks.kinds import PRODUCT, SMALL_L1
from tests.benchmarks.load import Answer, Expected, Request, UnexpectedAnswer, ask
from tests.benchmarks.seed import (
    CAT_ID,
    CHILDREN_PER_LEVEL1,
    HIT_COUNT,
    L3_COUNT,
    LEVEL1_COUNT,
    MISS_DAYS,
    PATIENCE_SECONDS,
    day_of,
    query_of,
)

_DELETE_SECONDS = 0.1
_ANSWERS_IN_A_ROW = 8
FIGURES = "/api/mengla"
L1_HIT = "L1 hit"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One kind of request; ``plain`` says that the plain views answer it, too."""

    name: str
    request: Request
    expected: Expected
    server: str = PRODUCT
    plain: Request | None = None
    around: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def bare(self) -> Request:
        """The same request to the bare function: to a path that says whose answer is meant."""
        return replace(self.request, paths=(f"/{self.name.replace(' ', '-')}",))


def contenders(token: str, url: str) -> list[Contender]:
    """Return all contenders; the product at ``url`` is asked for an ETag and for a collection."""
    headers = {"Authorization": f"Bearer {token}"}
    hit = Request(paths=(_path(Action.HOT, 0),), headers=headers)
    l1, any_tier = Expected(tier="l1"), Expected()
    etag = dict(until_expected(url, hit, l1).headers)["etag"]
    node = Request(paths=(f"/api/categories/{CAT_ID}",), headers=headers)
    tree = Request(paths=("/api/categories",), headers=headers)
    panel = Request(paths=("/api/panel-config",), headers=headers)
    body = json.dumps({"catId": CAT_ID, "timest": day_of(0)}).encode()
    post = Request(
        method="POST",
        paths=(f"{FIGURES}/hot",),
        headers=headers | {"Content-Type": "application/json"},
        body=body,
    )
    missing = Request(paths=tuple(_missing_paths()), headers=headers)
    kept = json.loads(ask(url, missing, number=-1).body)["data"]["collection"]["id"]
    status = Request(paths=(f"/api/mengla/collections/{kept}",), headers=headers)
    gzip = replace(hit, headers=headers | {"Accept-Encoding": "gzip"})
    return [
        Contender(name=L1_HIT, request=hit, expected=l1, plain=hit),
        Contender(name="L1 hit, gzip", request=gzip, expected=l1, plain=hit),
        Contender(
            name="L1 hit, 304",
            request=replace(hit, headers=headers | {"If-None-Match": etag}),
            expected=Expected(status=304, tier="l1"),
            plain=hit,
        ),
        Contender(name="L1 hit, POST", request=post, expected=l1),
        Contender(
            name="L2 hit",
            request=replace(hit, paths=tuple(_path(Action.HOT, number) for number in range(HIT_COUNT))),
            expected=Expected(tier="l2"),
            server=SMALL_L1,
        ),
        Contender(
            name="L3 hit",
            request=replace(hit, paths=tuple(_path(Action.HIGH, number) for number in range(L3_COUNT))),
            expected=Expected(tier="l3"),
            server=SMALL_L1,
            around=without_l2,
        ),
        Contender(
            name="miss (202)",
            request=missing,
            expected=Expected(status=202),
            around=lambda: empty_queue(kept),
        ),
        Contender(name="category tree", request=tree, expected=any_tier, plain=tree),
        Contender(name="one category", request=node, expected=any_tier, plain=node),
        Contender(name="panel configuration", request=panel, expected=any_tier, plain=panel),
        Contender(name="status of a collection", request=status, expected=any_tier),
        Contender(name="/health", request=Request(paths=("/health",)), expected=any_tier),
    ]


def until_expected(url: str, request: Request, expected: Expected, *, attempts: int = 100) -> Answer:
    """Ask until several answers in a row are as expected, so that every process knows it; return the last.

    Each time over a new connection, which the kernel gives to any of the processes.

    :raises UnexpectedAnswer: when they never are.
    """
    row, answer = 0, None
    # The last paths: what is asked here is in L1 now, and the load begins with the first ones.
    first = max(0, len(request.paths) - 2 * _ANSWERS_IN_A_ROW)
    for number in range(first, first + attempts):
        answer = ask(url, request, number=number)
        row = row + 1 if answer.is_as(expected) else 0
        if row >= _ANSWERS_IN_A_ROW:
            return answer
    assert answer is not None
    raise UnexpectedAnswer(
        f"{request.method} {request.paths[0]}: expected {expected}, got {answer.status}, tier {answer.tier}: "
        f"{answer.body[:200]!r}"
    )


@contextmanager
def without_l2() -> Iterator[None]:
    """Delete the entries of the rankings for L3 from Redis, again and again."""
    client, ended = get_redis(), threading.Event()
    groups = [query_of(Action.HIGH, number).cache_group for number in range(L3_COUNT)]

    def delete() -> None:
        epoch = client.get(EPOCH_KEY)
        if isinstance(epoch, bytes):
            client.unlink(*(f"{DATA_PREFIX}{epoch.decode()}:{group}" for group in groups))

    def delete_again() -> None:
        while not ended.wait(_DELETE_SECONDS):
            delete()

    delete()
    thread = threading.Thread(target=delete_again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def empty_queue(kept: str) -> Iterator[None]:
    """Delete the collections that misses insert, again and again; the one whose status is requested stays.

    So about as many of one caller wait as may by default.
    """
    ended = threading.Event()

    def delete() -> None:
        with pymongo.timeout(PATIENCE_SECONDS):
            collection_of(Collection).delete_many({"_id": {"$ne": ObjectId(kept)}})

    def delete_again() -> None:
        while not ended.wait(_DELETE_SECONDS):
            delete()

    thread = threading.Thread(target=delete_again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        delete()


def _path(action: Action, number: int, cat_id: str = CAT_ID) -> str:
    parameters = {"action": action.value, "primaryCatId": cat_id, "timest": day_of(number)}
    return f"{FIGURES}?{urlencode(parameters)}"


def _missing_paths() -> Iterator[str]:
    for number in range(MISS_DAYS):
        for level1 in range(LEVEL1_COUNT):
            for child in range(CHILDREN_PER_LEVEL1):
                yield _path(Action.CHANCE, number, str(int(CAT_ID) + level1 * 100 + child))
