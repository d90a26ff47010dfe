"""The limit of login attempts."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.auth.passwords import throttle
from apps.auth.passwords.throttle import count_login_attempt
from apps.core.errors import RateLimited
from apps.core.storage import redis as core_redis
from tests.auth.conftest import redis_client


def tries_allowed(count: int, *, username: str = "ana", address: str = "192.0.2.1") -> int:
    """Try so often and return how often it was allowed."""
    allowed = 0
    for _ in range(count):
        try:
            count_login_attempt(username=username, address=address)
        except RateLimited:
            continue
        allowed += 1
    return allowed


@pytest.mark.redis
class TestWithRedis:
    def test_ten_tries_a_minute_from_one_address(self) -> None:
        assert sum(tries_allowed(1, username=f"user{n}") for n in range(15)) == 10
        assert tries_allowed(1, username="someone else", address="192.0.2.2") == 1

    def test_ten_tries_a_minute_for_one_user_from_anywhere(self) -> None:
        assert sum(tries_allowed(1, address=f"192.0.2.{n}") for n in range(15)) == 10
        assert tries_allowed(1, username="bob", address="192.0.2.99") == 1

    @pytest.mark.parametrize("spelling", ["ANA", "Ana", "ａｎａ"])
    def test_spellings_of_a_name_share_its_tries(self, spelling: str) -> None:
        assert sum(tries_allowed(1, address=f"192.0.2.{n}") for n in range(10)) == 10
        assert tries_allowed(1, username=spelling, address="192.0.2.99") == 0

    def test_the_refusal_says_when_the_next_try_is_free(self) -> None:
        tries_allowed(10)
        with pytest.raises(RateLimited) as caught:
            count_login_attempt(username="ana", address="192.0.2.1")
        assert 50 <= int(caught.value.headers["Retry-After"]) <= 60

    def test_the_window_moves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        began_at = time.time()
        monkeypatch.setattr(time, "time", lambda: began_at)
        assert tries_allowed(11) == 10
        monkeypatch.setattr(time, "time", lambda: began_at + 59)
        assert tries_allowed(1) == 0
        monkeypatch.setattr(time, "time", lambda: began_at + 61)
        assert tries_allowed(11) == 10

    def test_one_host_has_a_whole_ipv6_network(self) -> None:
        assert sum(tries_allowed(1, username=f"u{n}", address=f"2001:db8:1:1::{n}") for n in range(15)) == 10
        assert tries_allowed(1, username="v", address="2001:db8:1:2::1") == 1

    def test_an_ipv4_address_in_ipv6_form_is_the_same_address(self) -> None:
        assert sum(tries_allowed(1, username=f"u{n}") for n in range(10)) == 10
        assert tries_allowed(1, username="v", address="::ffff:192.0.2.1") == 0

    @pytest.mark.parametrize("address", ["", "unix:", "x" * 10_000, "1.2.3.4\nmengla:data"])
    def test_unreadable_addresses_share_one_window(self, address: str) -> None:
        assert sum(tries_allowed(1, username=f"u{n}", address=address) for n in range(10)) == 10
        assert tries_allowed(1, username="v", address="also not an address") == 0

    def test_keys_are_bounded_prefixed_and_expire(self) -> None:
        count_login_attempt(username="u" * 150, address="192.0.2.1")
        client = core_redis.get_redis()
        keys = list(client.scan_iter("mengla:throttle:*"))
        assert len(keys) == 2
        assert all(len(key) < 120 and b"uuu" not in key and client.ttl(key) in range(1, 61) for key in keys)

    def test_threads_at_once_share_one_count(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            allowed = sum(pool.map(lambda _: tries_allowed(5), range(8)))
        assert allowed == 10


class TestWithoutRedis:
    def test_each_process_counts_for_itself(self, redis_is_down: None) -> None:
        assert tries_allowed(15) == 10
        with pytest.raises(RateLimited) as caught:
            count_login_attempt(username="ana", address="192.0.2.1")
        assert 50 <= int(caught.value.headers["Retry-After"]) <= 60

    def test_a_hanging_redis_costs_one_timeout(self, hanging_redis: socket.socket) -> None:
        assert tries_allowed(11) == 10
        assert count_connections(hanging_redis) == 1

    def test_made_up_names_do_not_fill_the_memory(
        self, redis_is_down: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "MAX_LOCAL_KEYS", 20)
        real_time = time.time
        # Each attempt comes so long after the one before: after its window, or at once.
        for pause_seconds in (61, 0):
            for n in range(100):
                monkeypatch.setattr(time, "time", lambda seconds=pause_seconds * n: real_time() + seconds)
                count_login_attempt(username=f"user{n}", address=f"192.0.{pause_seconds}.{n}")
            count_login_attempt(username="last", address=f"192.0.{pause_seconds}.200")
            storage = throttle.local_storage()
            assert len(storage.events) <= 24
            assert len(storage.locks) <= 24


@pytest.fixture
def hanging_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = redis_client(server.getsockname()[1])
        monkeypatch.setattr(core_redis, "get_redis", lambda: silent)
        yield server


def count_connections(server: socket.socket) -> int:
    server.setblocking(False)
    count = 0
    while True:
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1
