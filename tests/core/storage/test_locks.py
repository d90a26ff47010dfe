"""Leases: one owner at a time, on a real Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from apps.core.storage.locks import Lease

CLOSED_PORT = 1
pytestmark = pytest.mark.redis


def key_of(client: redis.Redis) -> bytes:
    (key,) = client.keys("mengla:lease:*")
    return key


def test_one_owner_at_a_time() -> None:
    first, second = Lease("x", ttl_seconds=30), Lease("x", ttl_seconds=30)
    assert first.acquire()
    assert not second.acquire()
    assert not first.acquire()  # not even the owner gets it twice
    first.release()
    assert second.acquire()


def test_of_many_who_try_at_once_one_gets_it() -> None:
    leases = [Lease("x", ttl_seconds=30) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(Lease.acquire, leases)) == 1


def test_names_are_apart() -> None:
    assert Lease("x", ttl_seconds=30).acquire()
    assert Lease("y", ttl_seconds=30).acquire()


def test_only_the_owner_releases_it() -> None:
    owner, other = Lease("x", ttl_seconds=30), Lease("x", ttl_seconds=30)
    owner.acquire()
    other.release()
    assert not other.acquire()


def test_it_lapses_when_its_owner_dies(redis_client: redis.Redis) -> None:
    Lease("x", ttl_seconds=3000).acquire()
    assert 2_900_000 < redis_client.pttl(key_of(redis_client)) <= 3_000_000


def test_the_owner_prolongs_it_by_its_full_time(redis_client: redis.Redis) -> None:
    lease = Lease("x", ttl_seconds=3000)
    lease.acquire()
    redis_client.pexpire(key_of(redis_client), 100_000)
    assert lease.renew()
    assert redis_client.pttl(key_of(redis_client)) > 2_900_000


def test_the_owner_may_give_it_another_time() -> None:
    lease = Lease("x", ttl_seconds=3000)
    lease.acquire()
    assert lease.renew(ttl_seconds=500)
    assert 400 < lease.remaining_seconds() <= 500


def test_who_has_lost_it_can_neither_prolong_nor_release_it(redis_client: redis.Redis) -> None:
    late, owner = Lease("x", ttl_seconds=30), Lease("x", ttl_seconds=30)
    late.acquire()
    redis_client.delete(key_of(redis_client))  # its time was up
    assert not late.renew()
    assert owner.acquire()
    assert not late.renew()
    late.release()
    assert owner.renew()


def test_a_free_lease_has_no_time_left() -> None:
    assert Lease("x", ttl_seconds=30).remaining_seconds() == 0


def test_without_redis_every_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a pool, as django-redis has it: a client without one retries for seconds.
    closed = redis.Redis(connection_pool=redis.ConnectionPool(port=CLOSED_PORT, retry=None))
    monkeypatch.setattr("apps.core.storage.locks.get_redis", lambda: closed)
    lease = Lease("x", ttl_seconds=30)
    for step in (lease.acquire, lease.renew, lease.release, lease.remaining_seconds):
        with pytest.raises(redis.RedisError):
            step()
