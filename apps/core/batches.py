"""Cuts large inputs into batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(
    items: Iterable[T],
    size: int,
    *,
    weight_of: Callable[[T], int] = lambda _item: 0,
    max_weight: float = math.inf,
) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``; the last one holds the rest.

    A list also ends with the item that brings its weight to ``max_weight``. Items are read only as they are
    needed, so ``items`` may be a database cursor.
    """
    batch: list[T] = []
    weight = 0
    for item in items:
        batch.append(item)
        weight += weight_of(item)
        if len(batch) >= size or weight >= max_weight:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
