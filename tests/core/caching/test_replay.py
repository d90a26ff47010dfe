"""What a finished answer rests on."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core.caching.replay import Basis
from apps.core.caching.tiers import TieredCache
from tests.core.caching.support import START, Clock, fill

pytestmark = pytest.mark.redis


class Accepted:
    """A caller who is always accepted."""

    def is_accepted(self, now: float) -> bool:
        return True

    def renew(self) -> None:
        """Do nothing."""


def basis_of(process: TieredCache, field: str = "-", *, tiers: Any = None) -> Basis:
    slot = process.slot_of("g", field)
    assert slot is not None
    return Basis(slot=slot, tiers=tiers or process, caller=Accepted())


def test_one_whose_process_catches_up_at_this_moment(
    process: TieredCache, other: TieredCache, clock: Clock
) -> None:
    """A process that was idle knows of no news; another thread learns them while this one looks."""

    class Caught:
        @property
        def is_caught_up(self) -> bool:
            process.keep_up()
            return process.is_caught_up

    fill(process, "old")
    basis = basis_of(process, tiers=Caught())
    assert basis.current_entry(START) is not None
    other.invalidate("g")
    clock.pass_a_second()
    assert basis.current_entry(START) is None
