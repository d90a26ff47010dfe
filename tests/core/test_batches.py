"""Batches: all items in their order, none longer or heavier than allowed, nothing taken before its turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.core.batches import batches


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_every_item_once_in_its_order_and_all_lists_but_the_last_full(items: list[int], size: int) -> None:
    cut = list(batches(items, size))
    assert [item for batch in cut for item in batch] == items
    assert all(len(batch) == size for batch in cut[:-1])
    assert all(1 <= len(batch) <= size for batch in cut[-1:])


@given(st.lists(st.integers(0, 9)), st.integers(1, 5), st.integers(1, 20))
def test_a_list_ends_with_the_item_that_makes_it_heavy(items: list[int], size: int, most: int) -> None:
    cut = list(batches(items, size, weight_of=lambda item: item, max_weight=most))
    assert [item for batch in cut for item in batch] == items
    assert all(len(batch) <= size and sum(batch[:-1]) < most for batch in cut)
    assert all(len(batch) == size or sum(batch) >= most for batch in cut[:-1])


def test_nothing_is_taken_before_it_is_needed() -> None:
    source = iter(range(10))
    first = next(batches(source, 3))
    assert first == [0, 1, 2]
    assert next(source) == 3


def test_nothing_makes_no_list() -> None:
    assert list(batches([], 3)) == []
