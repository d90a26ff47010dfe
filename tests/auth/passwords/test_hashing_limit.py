"""How many passwords are hashed at once."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apps.auth.passwords import hashing_limit
from apps.auth.passwords.hashing_limit import HashingBusy, HashingLimit, process_hashing_limit


def test_ten_logins_at_once_hash_two_at_a_time_and_all_get_their_turn() -> None:
    limit = HashingLimit(concurrent=2, admitted=12, wait_seconds=5)
    lock, start = threading.Lock(), threading.Barrier(10)
    inside, peak = 0, 0
    pair = threading.Barrier(2)

    def log_in() -> None:
        nonlocal inside, peak
        start.wait(5)
        with limit.claim():
            with lock:
                inside += 1
                peak = max(peak, inside)
            pair.wait(5)  # two are always inside together, or this breaks
            with lock:
                inside -= 1

    with ThreadPoolExecutor(10) as pool:
        for future in [pool.submit(log_in) for _ in range(10)]:
            future.result(10)
    assert peak == 2


def test_who_gets_no_slot_in_time_is_asked_to_come_back() -> None:
    limit = HashingLimit(concurrent=1, admitted=2, wait_seconds=0.01)
    with limit.claim(), pytest.raises(HashingBusy) as caught, limit.claim():
        pass
    assert int(caught.value.headers["Retry-After"]) >= 1
    with limit.claim():
        pass


def test_waiting_logins_never_take_all_threads() -> None:
    limit = HashingLimit(concurrent=1, admitted=1, wait_seconds=60)
    with limit.claim(), pytest.raises(HashingBusy), limit.claim():
        pass


def test_a_failed_login_gives_its_slot_back() -> None:
    limit = HashingLimit(concurrent=1, admitted=1, wait_seconds=0.01)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit.claim():
            raise ZeroDivisionError


@pytest.mark.parametrize(("threads", "admitted"), [(2, 1), (3, 2), (4, 3), (16, 12)])
def test_a_process_keeps_threads_for_other_requests(
    settings: Any, monkeypatch: pytest.MonkeyPatch, threads: int, admitted: int
) -> None:
    settings.WEB_THREADS = threads
    monkeypatch.setattr(hashing_limit, "CONCURRENT_HASHES", admitted)  # none waits for its turn to hash
    with contextlib.ExitStack() as logins:
        for _ in range(admitted):
            logins.enter_context(process_hashing_limit().claim())
        with pytest.raises(HashingBusy):
            logins.enter_context(process_hashing_limit().claim())
