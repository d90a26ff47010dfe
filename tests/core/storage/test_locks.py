"""Leases: one owner at a time, on a real Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.exceptions import LockError
from redis.lock import Lock

from apps.core.storage.locks import lease_of

CLOSED_PORT = 1
pytestmark = pytest.mark.redis


def key_of(client: redis.Redis) -> bytes:
    (key,) = client.keys("mengla:lease:*")
    return key


def test_one_owner_at_a_time() -> None:
    first, second = lease_of("x", ttl_seconds=30), lease_of("x", ttl_seconds=30)
    assert first.acquire()
    assert not second.acquire()
    assert not first.acquire()  # not even the owner gets it twice
    first.release()
    assert second.acquire()


def test_of_many_who_try_at_once_one_gets_it() -> None:
    leases = [lease_of("x", ttl_seconds=30) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(Lock.acquire, leases)) == 1


def test_names_are_apart() -> None:
    assert lease_of("x", ttl_seconds=30).acquire()
    assert lease_of("y", ttl_seconds=30).acquire()


def test_only_the_owner_releases_it() -> None:
    owner, other = lease_of("x", ttl_seconds=30), lease_of("x", ttl_seconds=30)
    owner.acquire()
    with pytest.raises(LockError):
        other.release()
    assert not other.acquire()


def test_it_lapses_when_its_owner_dies(redis_client: redis.Redis) -> None:
    lease_of("x", ttl_seconds=3000).acquire()
    assert 2_900_000 < redis_client.pttl(key_of(redis_client)) <= 3_000_000


def test_the_owner_prolongs_it_by_its_full_time(redis_client: redis.Redis) -> None:
    lease = lease_of("x", ttl_seconds=3000)
    lease.acquire()
    redis_client.pexpire(key_of(redis_client), 100_000)
    assert lease.reacquire()
    assert redis_client.pttl(key_of(redis_client)) > 2_900_000


def test_the_owner_may_give_it_another_time(redis_client: redis.Redis) -> None:
    lease = lease_of("x", ttl_seconds=3000)
    lease.acquire()
    assert lease.extend(500, replace_ttl=True)
    assert 400_000 < redis_client.pttl(key_of(redis_client)) <= 500_000


def test_who_has_lost_it_can_neither_prolong_nor_release_it(redis_client: redis.Redis) -> None:
    late, owner = lease_of("x", ttl_seconds=30), lease_of("x", ttl_seconds=30)
    late.acquire()
    redis_client.delete(key_of(redis_client))  # its time was up
    with pytest.raises(LockError):
        late.reacquire()
    assert owner.acquire()
    for step in (late.reacquire, late.release):
        with pytest.raises(LockError):
            step()
    assert owner.reacquire()


def test_any_thread_of_the_owner_may_prolong_and_release_it() -> None:
    lease = lease_of("x", ttl_seconds=30)
    lease.acquire()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lease.reacquire).result()
        pool.submit(lease.release).result()
    assert lease_of("x", ttl_seconds=30).acquire()


def test_without_redis_every_step_says_so() -> None:
    # On a pool, as django-redis has it: a client without one retries for seconds.
    closed = redis.Redis(connection_pool=redis.ConnectionPool(port=CLOSED_PORT, retry=None))
    lease = lease_of("x", ttl_seconds=30)
    lease.acquire()
    lease.redis = closed
    for step in (lease.acquire, lease.reacquire, lambda: lease.extend(30), lease.release):
        with pytest.raises(redis.ConnectionError):
            step()
