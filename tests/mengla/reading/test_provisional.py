"""Figures collected before their period was over: how readers get them, and when they are collected again."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core import market_clock
from apps.core.caching.entry import build_entry
from apps.core.caching.tiers import clear_all, get_cache
from apps.core.periods import Granularity, Period, period_of, previous_closed_period
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action
from apps.mengla.dispatch import stored_meanwhile
from apps.mengla.former.reference_document import read_document
from apps.mengla.ingest.records import write_if_newer
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.freshness import final_at
from apps.mengla.reading import read as query_service
from apps.mengla.runs.collect import Order, backfill_check_plan, start
from apps.mengla.runs.scheduled import run_period_collect
from tests.mengla.commands.support import run
from tests.mengla.runs.support import identities_of, plan_now
from tests.mengla.support import (
    answer,
    begin_attempt,
    change,
    change_records,
    claim,
    collections,
    enqueue,
    hot,
    points,
    ranking,
    records,
    statuses,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
HALF_AN_HOUR = timedelta(minutes=30)
DAY, MONTH, YEAR = Granularity.DAY, Granularity.MONTH, Granularity.YEAR


def closed(granularity: Granularity) -> Period:
    """The last closed period."""
    return previous_closed_period(market_clock.today(), granularity)


def current(granularity: Granularity) -> Period:
    """The running period."""
    return period_of(market_clock.today(), granularity)


def query_for(period: Period, action: Action = Action.HOT) -> DataQuery:
    return DataQuery(action, "1001", period, period)


def store_early(query: DataQuery, *, before: timedelta = HALF_AN_HOUR, is_empty: bool = False) -> None:
    """Figures as older versions stored them: collected before the end, and fresh for a year."""
    store_empty(query) if is_empty else store(query)
    collected_at = final_at(query.end) - before
    change_records(query, collected_at=collected_at, fresh_until=utc_now() + timedelta(days=365))
    clear_all()


def ask(client: APIClient, query: DataQuery) -> tuple[str, str, str | None]:
    """Source, freshness and whether the figures are said to be provisional."""
    asked = {"primaryCatId": "1001", "action": query.action.value, "timest": query.end.key}
    if query.is_trend:
        asked |= {"starRange": query.start.key, "endRange": query.end.key}
    response = client.get("/api/mengla/", asked)
    assert response.status_code == 200, response.content
    headers = response.headers
    return (
        headers["X-MengLa-Source"],
        headers["X-MengLa-Freshness"],
        headers.get("X-MengLa-Provisional"),
    )


# --- Readers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity", Granularity)
def test_from_the_end_of_the_period_on_they_are_stale_and_refreshed(
    reader: APIClient, granularity: Granularity
) -> None:
    query = query_for(closed(granularity))
    store_early(query, before=timedelta(milliseconds=1))
    before = len(collections())
    for source in ("l3", "l1"):
        assert ask(reader, query) == (source, "stale", "1")
    get_cache().clear_l1()
    assert ask(reader, query) == ("l2", "stale", "1")
    assert statuses()[before:] == ["PENDING"]


@pytest.mark.parametrize("granularity", Granularity)
def test_collected_at_the_end_they_are_final(reader: APIClient, granularity: Granularity) -> None:
    query = query_for(closed(granularity))
    store_early(query, before=timedelta(0))
    assert ask(reader, query) == ("l3", "fresh", None)


@pytest.mark.parametrize("granularity", Granularity)
def test_while_the_period_runs_they_are_fresh_and_provisional(
    reader: APIClient, granularity: Granularity
) -> None:
    query = query_for(current(granularity))
    store(query)
    clear_all()
    assert ask(reader, query) == ("l3", "fresh", "1")
    assert ask(reader, query) == ("l1", "fresh", "1")
    assert len(collections()) == 1


def test_cached_figures_turn_stale_at_midnight(reader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    query = query_for(current(DAY))
    store(query)
    change_records(query, fresh_until=utc_now() + timedelta(days=365))
    clear_all()
    ask(reader, query)
    midnight = final_at(query.end)
    passed = (midnight - utc_now()).total_seconds()
    real = time.time
    for seconds, freshness in ((-1, "fresh"), (1, "stale")):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: real() + passed + seconds)
        monkeypatch.setattr(query_service, "utc_now", lambda: midnight + timedelta(seconds=1))
        assert ask(reader, query) == ("l1", freshness, "1")
        get_cache().clear_l1()
        assert ask(reader, query) == ("l2", freshness, "1")
    assert statuses() == ["SUCCEEDED", "PENDING"]


def test_one_provisional_point_makes_a_trend_provisional(reader: APIClient) -> None:
    month = closed(MONTH)
    query = trend(month.shift(-3).key, month.key)
    store(query)
    store_early(query.narrowed(month, month))
    assert ask(reader, query) == ("l3", "stale", "1")
    assert collections()[-1]["identity"] == query.narrowed(month, month).identity
    assert ask(reader, query.narrowed(query.start, month.previous())) == ("l3", "fresh", None)
    answer(claim(), points(**{f"p{month.key}": 1}))
    assert ask(reader, query)[1:] == ("fresh", None)
    running = query.narrowed(query.start, month.next())
    store(running)
    assert ask(reader, running)[1:] == ("fresh", "1")


def test_final_figures_take_their_place(reader: APIClient) -> None:
    query = query_for(closed(DAY))
    store_early(query)
    assert ask(reader, query)[1:] == ("stale", "1")
    answer(claim(), ranking("final"))
    assert ask(reader, query)[1:] == ("fresh", None)


def test_settle_hours_count_for_what_is_stored_and_cached_already(reader: APIClient, settings: Any) -> None:
    query = query_for(closed(YEAR))
    store(query)
    change_records(query, collected_at=final_at(query.end) + timedelta(hours=1))
    clear_all()
    assert ask(reader, query) == ("l3", "fresh", None)
    settings.SETTLE_HOURS = 2
    assert ask(reader, query) == ("l3", "stale", "1")
    settings.SETTLE_HOURS = 1
    assert ask(reader, query) == ("l3", "fresh", None)


def test_cached_figures_of_an_older_version_are_not_served(reader: APIClient) -> None:
    query = query_for(closed(DAY))
    store_early(query)
    cache = get_cache()
    ticket = cache.lookup(query.cache_group, "-").ticket
    far = time.time() + 10**6
    cache.fill(ticket, build_entry(b"{}", stored_at=0, fresh_until=far, serve_until=far))
    assert ask(reader, query) == ("l3", "stale", "1")


def test_empty_records_are_provisional_too(reader: APIClient) -> None:
    query = query_for(closed(DAY))
    store_early(query, is_empty=True)
    assert ask(reader, query) == ("l3", "empty", "1")
    assert statuses() == ["EMPTY", "PENDING"]


def test_an_empty_answer_after_the_end_gives_them_its_short_freshness(
    reader: APIClient, settings: Any
) -> None:
    query = query_for(closed(DAY))
    store_early(query)
    store_empty(query)
    (record,) = records().values()
    assert timedelta(0) < record["fresh_until"] - utc_now() <= timedelta(seconds=settings.EMPTY_TTL_SECONDS)
    clear_all()
    assert ask(reader, query) == ("l3", "fresh", "1")
    store(query)
    assert "renewed_at" not in next(iter(records().values()))
    assert ask(reader, query)[1:] == ("fresh", None)


def test_the_list_of_records_says_it(reader: APIClient, site: Client) -> None:
    early, late = query_for(closed(DAY)), query_for(closed(MONTH))
    store_early(early)
    store(late)
    listed = reader.get("/api/mengla/records").json()["data"]["records"]
    assert {one["id"]: one["provisional"] for one in listed} == {early.identity: True, late.identity: False}
    reported = next(one["fresh_until"] for one in listed if one["provisional"])
    assert datetime.fromisoformat(reported).replace(tzinfo=None) == final_at(early.end)
    page = site.get("/admin/mengla/record/").content.decode()
    assert page.count("Present, provisional") == 1
    cell = {"action": "hot", "granularity": "day", "category": "1001", "period": early.end.key}
    assert "is-provisional" in site.get("/admin/coverage/cell/", cell).content.decode()
    data = site.get("/admin/data/", cell).content.decode()
    assert "is-provisional" in data and "is-stale" in data


def test_coverage_shows_provisional_and_due(site: Client, admin: APIClient) -> None:
    past, running = closed(MONTH), current(MONTH)
    store_early(DataQuery(Action.HOT, "1000", past, past))
    store(DataQuery(Action.HOT, "1000", running, running))
    given = {"action": "hot", "granularity": "month", "from": past.key, "to": running.key}
    page = site.get("/admin/coverage/", given).content.decode()
    assert '<td class="D">D</td><td class="V">V</td>' in page
    assert re.findall(r'data-legend="([DV])">(\d+)<', page) == [("V", "1"), ("D", "1")]
    body = {"granularity": "month", "startDate": past.key, "endDate": running.key, "actions": ["hot"]}
    totals = admin.post("/api/admin/mengla/status", body | {"catId": "1000"}, format="json").json()["data"][
        "totals"
    ]
    assert (totals["present"], totals["stale"], totals["provisional"], totals["due"]) == (2, 1, 2, 1)
    arguments = ("--from", past.key, "--to", running.key, "--category", "1000", "--action", "hot")
    drawing = next(
        line for line in run("coverage", *arguments).out.splitlines() if line.startswith("hot 类目1000")
    )
    assert drawing.split() == ["hot", "类目1000", "(1000)", "DV", "2/2"]


# --- Answers and imports ---------------------------------------------------------------------------


def test_an_answer_to_a_request_from_before_the_end_is_provisional() -> None:
    """However late it comes; of an earlier attempt only the time of enqueueing is known."""
    query = query_for(closed(DAY))
    asked_at = final_at(query.end) - HALF_AN_HOUR
    attempt = begin_attempt(query)
    change(attempt, dispatched_at=asked_at)
    answer(attempt, ranking("early"))
    assert [one["collected_at"] for one in records().values()] == [asked_at]
    other = query_for(closed(MONTH))
    attempt = begin_attempt(other)
    change(attempt, created_at=final_at(other.end) - HALF_AN_HOUR, attempt_token="of the next attempt")
    answer(attempt, ranking("late"))
    assert records()[other.identity]["collected_at"] == final_at(other.end) - HALF_AN_HOUR


def test_a_late_answer_replaces_provisional_figures() -> None:
    query = query_for(closed(DAY))
    store_early(query)
    attempt = begin_attempt(query)
    change(attempt, status="FAILED", active_key=None, slot=None)
    answer(attempt, ranking("late"))
    assert [one["data"]["list"][0]["catName"] for one in records().values()] == ["late"]


def test_imported_figures_are_judged_alike(reader: APIClient) -> None:
    query = query_for(closed(MONTH))
    source = {"action": "hot", "catId": "1001", "dateType": "month", "timest": query.end.key}
    figures = {"hotList": {"code": 0, "data": {"list": [{"catName": "x"}]}}}
    for offset, expected in ((-HALF_AN_HOUR, ("stale", "1")), (HALF_AN_HOUR, ("fresh", None))):
        document = source | {"data": figures, "collected_at": final_at(query.end) + offset}
        written, refused = write_if_newer(read_document(document, now=utc_now()))
        assert (len(written), len(refused)) == (1, 0)
        change_records(query, fresh_until=utc_now() + timedelta(days=1))
        clear_all()
        assert ask(reader, query)[1:] == expected


# --- Runs --------------------------------------------------------------------------------------------


def test_the_run_of_the_first_plans_what_was_collected_on_the_last_day() -> None:
    month = closed(MONTH)
    query = DataQuery(Action.HOT, "1000", month, month)
    store_early(query, before=timedelta(hours=4))
    first = month.next().first_day
    run_id = run_period_collect(MONTH, intended_at=f"{first}T03:00:00+08:00")
    assert run_id is not None
    plan_now(run_id)
    assert query.identity in identities_of(run_id)


def test_collect_plans_them() -> None:
    query = query_for(closed(DAY))
    store_early(query)
    arguments = ("day", "--category", "1001", "--action", "hot")
    assert run("collect", *arguments, "--dry-run", "--json").result["to_collect"] == 1
    change_records(query, collected_at=final_at(query.end))
    assert run("collect", *arguments, "--dry-run", "--json").result["to_collect"] == 0


@pytest.mark.parametrize("is_empty", [False, True])
def test_fills_and_gap_checks_plan_them(is_empty: bool) -> None:
    month = closed(MONTH)
    query = DataQuery(Action.HOT, "1000", month, month)
    store_early(query, is_empty=is_empty)
    given = ("--from", month.dashed, "--to", month.dashed, "--category", "1000", "--action", "hot")
    assert run("fill", *given, "--dry-run", "--json").result["to_collect"] == 1
    assert query.identity in identities_of(_planned(backfill_check_plan(market_clock.today())))


def test_stale_figures_of_a_running_period_are_no_gap() -> None:
    month = current(MONTH)
    query = query_for(month)
    store(query)
    given = ("--from", month.dashed, "--to", month.dashed, "--category", "1001", "--action", "hot")
    assert run("backfill", *given, "--dry-run", "--json").result["to_collect"] == 0
    change_records(query, fresh_until=utc_now() - HALF_AN_HOUR)
    assert run("fill", *given, "--dry-run", "--json").result["to_collect"] == 0
    assert run("backfill", *given, "--dry-run", "--json").result["to_collect"] == 1


def test_a_collection_under_way_does_not_end_with_them() -> None:
    query = hot(closed(DAY).key)
    store_early(query)
    enqueue(query)
    assert stored_meanwhile.find([collections()[-1]]) == [None]


def _planned(plan: Any) -> str:
    run_id = start(plan, Order("tests")).run_id
    plan_now(run_id)
    return run_id


def test_the_points_of_a_running_year() -> None:
    """The trend of a year so far has one provisional point: the running month."""
    month = current(MONTH)
    query = trend(month.shift(-2).key, month.key)
    store(query, points(**{f"p{one.key}": 1 for one in query.periods}))
    result = run(
        "coverage", "--from", query.start.dashed, "--to", month.dashed,
        "--category", "1001", "--action", "industryTrendRange", "--json",
    ).result  # fmt: skip
    assert result["rows"][0]["provisional"] == [False, False, True]
    assert (result["totals"]["provisional"], result["totals"]["due"]) == (1, 0)
