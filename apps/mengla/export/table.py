"""The rows of an export as they are read from the store, with a summary of what they hold and lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from django.utils.translation import gettext as _

from apps.categories.selectors import own_names
from apps.core.errors import InvalidInput
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import ALL_CATEGORIES
from apps.mengla.export.columns import ExportColumn, Row, columns_of, rows_of
from apps.mengla.export.query import ExportQuery
from apps.mengla.export.records import count_rows, read_in_order
from apps.mengla.export.summary import Summary
from apps.mengla.queries.freshness import freshness_of, is_whole

MAX_ROWS = 1_000_000

logger = structlog.get_logger(__name__)


class TooManyRows(InvalidInput):
    """The export has more rows than a file may have."""

    def __init__(self, count: int, field: str) -> None:
        message = _(
            "The export has %(count)s rows, and at most %(limit)s are allowed. Choose a shorter range or "
            "fewer categories."
        ) % {"count": f"{count:,}", "limit": f"{MAX_ROWS:,}"}
        super().__init__(message, fields={field: [message]})


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has what a row needs; the log names one that has not."""
    if is_whole(record, has_figures=True):
        return True
    logger.warning("record_damaged", record_id=record["_id"])
    return False


class ExportTable:
    """The rows of an export, read once; ``summary`` is complete when the last one is read.

    ``told`` is called with the summary whenever a record has been looked up.
    """

    def __init__(
        self, query: ExportQuery, *, told: Callable[[Summary], None] = lambda _summary: None
    ) -> None:
        self.query = query
        self._told = told
        self.columns: tuple[ExportColumn, ...] = columns_of(query.action)
        self.summary = Summary()
        self._now = utc_now()

    def check_size(self, *, field: str = "to") -> None:
        """Refuse an export that is too large, without reading it; ``field`` is the input to change.

        :raises TooManyRows: when it has more than :data:`MAX_ROWS` rows.
        """
        ids = (record_id for *_others, record_id in self.query.record_keys())
        count = count_rows(self.query.action, ids, now=self._now)
        if count > MAX_ROWS:
            raise TooManyRows(count, field)

    def records(self) -> Iterator[tuple[Row, Iterator[Row]]]:
        """Yield for each record with figures the values that its rows have in common, and the rows."""
        query, summary = self.query, self.summary
        names = own_names(query.cat_ids) | {"": _("All categories")}
        keys = (((cat_id, period), record_id) for cat_id, period, record_id in query.record_keys())
        for (cat_id, period), record in read_in_order(keys, now=self._now):
            self._told(summary)
            if record is None or not _is_whole(record):
                summary.missing.add(cat_id, period)
                continue
            summary.records += 1
            is_provisional = freshness_of(record).is_provisional
            if is_provisional:
                summary.provisional.add(cat_id, period)
            if record["is_empty"]:
                summary.empty.add(cat_id, period)
                continue
            name = names.get(cat_id, cat_id)
            base = [cat_id or ALL_CATEGORIES, name, period.dashed, is_provisional, record["collected_at"]]
            yield base, rows_of(query.action, record["data"])
        self._told(summary)

    def rows(self) -> Iterator[Row]:
        """Yield every row with all of its values, and count it."""
        for base, rows in self.records():
            for row in rows:
                self.summary.rows += 1
                yield base + row
