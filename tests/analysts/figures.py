"""A year of made-up figures with known gaps, for a child process of a stack."""

from __future__ import annotations

import io
import shlex
from datetime import datetime

from django.core.management import call_command

from apps.core.periods import Period, parse_period, period_range
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, EmptyReason
from apps.mengla.ingest.records import Answer, Provenance, store_answers
from apps.mengla.models import Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.upstream.payloads import split_trend_points, unwrap
from tests.factories.categories import load_sample, make_node, store_tree
from tests.mengla.support import result_for

CATEGORY_COUNT = 30
FIRST_MONTH, LAST_MONTH = "2025-01", "2025-12"
# Best sellers that are not stored, and those of which the service has none.
MISSING = {("4300", "2025-03"), ("4300", "2025-04"), ("4300", "2025-05"), ("4400", "2025-10")}
EMPTY = {("4400", "2025-07")}
PROVISIONAL_MONTH = "2025-12"
_LONG_AFTER = datetime(2026, 3, 1)
_WITHIN_THE_LAST_MONTH = datetime(2025, 12, 20)


def store() -> list[str]:
    """Store categories and figures; returns the categories of level 1: as many as the real tree has."""
    sample = load_sample()
    more = range(CATEGORY_COUNT - len(sample))
    tree = sample + [{**make_node(5000 + 100 * number), "children": []} for number in more]
    store_tree(tree)
    cat_ids = [str(node["catId"]) for node in tree]
    months = list(period_range(parse_period(FIRST_MONTH), parse_period(LAST_MONTH)))
    for cat_id in cat_ids:
        for month in months:
            if (cat_id, month.dashed) not in MISSING:
                store_best_sellers(cat_id, month.dashed)
    for cat_id in [*cat_ids, *(str(child["catId"]) for child in tree[0]["children"])]:
        _store(Action.INDUSTRY_TREND, cat_id, months[0], months[-1])
    _store(Action.INDUSTRY_VIEW, cat_ids[0], months[-2], months[-2])
    return cat_ids


def store_best_sellers(cat_id: str, month: str) -> None:
    """Store one ranking."""
    period = parse_period(month)
    _store(Action.HOT, cat_id, period, period, is_empty=(cat_id, month) in EMPTY)


def delete_best_sellers(cat_id: str, month: str) -> None:
    """Delete one ranking, as happens when its retention ends."""
    period = parse_period(month)
    query = DataQuery(Action.HOT, cat_id, period, period)
    collection_of(Record).delete_one({"_id": query.record_id(period)})


def run_command(line: str) -> str:
    """Run a line ``python manage.py ...``; returns its output."""
    program, script, *arguments = shlex.split(line)
    assert (program, script) == ("python", "manage.py")
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue().strip()


def _store(action: Action, cat_id: str, first: Period, last: Period, *, is_empty: bool = False) -> None:
    """Store figures as an answer of the service does."""
    query = DataQuery(action, cat_id, first, last)
    data = unwrap(action, result_for(query)).data
    points = split_trend_points(data, granularity=query.granularity) if query.is_trend else {}
    for is_provisional, collected_at in ((False, _LONG_AFTER), (True, _WITHIN_THE_LAST_MONTH)):
        answers = [
            Answer(period, None, EmptyReason.EMPTY_LIST)
            if is_empty
            else Answer(period, points[period.key] if query.is_trend else data)
            for period in query.periods
            if (period.dashed == PROVISIONAL_MONTH) == is_provisional
        ]
        if answers:
            store_answers(query, answers, Provenance("", [], False, collected_at, None))
