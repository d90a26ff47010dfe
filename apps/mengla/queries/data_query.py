"""The query for figures, and the keys derived from it (pure).

A :class:`DataQuery` identifies figures. Everything that makes two sets of figures differ is part of it:
action, category, granularity, the whole range of a trend, ``product_id`` and ``extra``. Cache keys, record
keys and the single flight all derive from it, so a reader never gets the figures of another query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.core.periods import Granularity, Period, count_periods, period_range
from apps.mengla.choices import ALL_CATEGORIES, Action
from apps.mengla.upstream.payloads import build_parameters, variant_of

__all__ = ["ALL_CATEGORIES", "DataQuery"]


@dataclass(frozen=True)
class DataQuery:
    """One query for figures. ``cat_id`` is empty for all categories; only a trend has several periods."""

    action: Action
    cat_id: str
    start: Period
    end: Period
    product_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def granularity(self) -> Granularity:
        """The granularity of the periods."""
        return self.start.granularity

    @property
    def is_trend(self) -> bool:
        """Whether the query is for a time series, which is stored as one record per point."""
        return self.action == Action.INDUSTRY_TREND

    @cached_property
    def variant(self) -> str:
        """A short hash of ``product_id`` and ``extra``; empty when the query has neither."""
        return variant_of(self.product_id, self.extra)

    @cached_property
    def identity(self) -> str:
        """The key of this query; unique among the collections under way."""
        return ":".join([*self._prefix, self.range_key, *self._suffix])

    @cached_property
    def range_key(self) -> str:
        """``start~end`` of a trend, otherwise the period key."""
        return f"{self.start.key}~{self.end.key}" if self.is_trend else self.start.key

    @cached_property
    def cache_group(self) -> str:
        """The cache group that a write of these records outdates: all ranges of a trend, or this query."""
        return ":".join([*self._prefix, *self._suffix]) if self.is_trend else self.identity

    @cached_property
    def record_ids(self) -> list[str]:
        """The keys of the query's records, in the order of their periods."""
        return [self.record_id(period) for period in self.periods]

    @cached_property
    def periods(self) -> list[Period]:
        """The periods, first to last."""
        return period_range(self.start, self.end)

    @property
    def period_count(self) -> int:
        """The number of periods."""
        return count_periods(self.start, self.end)

    def record_id(self, period: Period) -> str:
        """Return the key of the record of one period."""
        return ":".join([*self._prefix, period.key, *self._suffix])

    def service_parameters(self) -> dict[str, object]:
        """Return the ``parameters`` of an execution by the collection service.

        :raises ValueError: when the service does not accept the range, or ``extra`` overrides a parameter.
        """
        return build_parameters(
            action=self.action,
            product_id=self.product_id,
            cat_id=self.cat_id,
            start=self.start,
            end=self.end,
            extra=self.extra,
        )

    def narrowed(self, start: Period, end: Period) -> DataQuery:
        """Return the same query for another range."""
        return DataQuery(self.action, self.cat_id, start, end, self.product_id, self.extra)

    @property
    def _prefix(self) -> list[str]:
        return [self.action.value, self.cat_id or ALL_CATEGORIES, self.granularity.value]

    @property
    def _suffix(self) -> list[str]:
        return [self.variant] if self.variant else []
