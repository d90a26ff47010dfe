"""The coverage page: every state of a cell, what fills the gaps and what that costs, and who may do it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils.translation import override

from apps.categories.models import Category
from apps.core import market_clock
from apps.core.admin_base.history import change_text, object_text
from apps.core.liveness.processes import note_heartbeat
from apps.core.periods import Granularity, parse_period, period_of
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import CollectionError, Priority
from apps.mengla.models import Collection
from apps.mengla.monitoring.coverage import Totals
from apps.mengla.monitoring.throughput import Pace, present_pace
from apps.sync_tasks.selectors import find_run, list_running
from tests.admin.conftest import JSON
from tests.factories.categories import make_tree, store_tree
from tests.mengla.runs.support import identities_of, plan_now
from tests.mengla.support import (
    answer,
    begin_attempt,
    claim,
    collections,
    enqueue,
    fail,
    figures_of,
    hot,
    make_stale,
    result_for,
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
PAGE = "/admin/coverage/"
CELL, PLAN, FILL = f"{PAGE}cell/", f"{PAGE}plan/", f"{PAGE}fill/"
HALF_YEAR = {"action": "hot", "granularity": "month", "from": "2025-01", "to": "2025-06"}
ONE = {"action": "hot", "granularity": "month", "category": "1001", "period": "202501"}
CHANGE = ("view_record", "view_collection", "change_collection", "view_synctask")


def map_of(client: Client, **parameters: str) -> dict[str, str]:
    """The letters of each row by its category."""
    response = client.get(PAGE, {**HALF_YEAR, **parameters})
    assert response.status_code == 200
    page = response.content.decode()
    rows = re.findall(r'<tr data-category="(\d*)">(.*?)</tr>', page, re.DOTALL)
    return {cat_id: "".join(re.findall(r'<td class="(\w)">', row)) for cat_id, row in rows}


# --- The heat map ----------------------------------------------------------------------------------


def test_every_state_of_a_cell(site: Client) -> None:
    for month in ("202501", "202502"):
        store(hot(month, cat_id="1000"))
    make_stale(hot("202502", cat_id="1000"))
    store_empty(hot("202503", cat_id="1000"))
    fail(hot("202504", cat_id="1000"))
    begin_attempt(hot("202506", cat_id="1000"))
    enqueue(hot("202505", cat_id="1000"))
    assert map_of(site) == {"1000": "PSEXQF", "2000": "MMMMMM"}
    page = site.get(PAGE, HALF_YEAR).content.decode()
    # 6 of the other category and the failed one; the empty one is fresh.
    assert "3 of 12 cells are stored (25 %). A fill would collect 7. 1 queued, 1 in flight." in page
    assert "The last collection of 1 cell failed." in page
    legend = re.findall(r"</b>([a-z, ]+) <strong data-legend=.(\w).>(\d+)</strong>", page)
    assert legend == [
        ("present", "P", "1"),
        ("present, stale", "S", "1"),
        ("provisional", "V", "0"),
        ("provisional, due", "D", "0"),
        ("empty", "E", "1"),
        ("missing", "M", "6"),
        ("failed", "X", "1"),
        ("queued", "Q", "1"),
        ("in flight", "F", "1"),
    ]
    heads = re.findall(r'<th scope="col" data-period="(\d+)">', page)
    assert heads == [f"2025{month:02}" for month in range(1, 7)]
    assert "<caption" in page


def test_a_trend_under_way_is_told_point_by_point(site: Client) -> None:
    enqueue(trend("202502", "202503", cat_id="2000"))
    assert map_of(site, action="industryTrendRange") == {"1000": "MMMMMM", "2000": "MQQMMM"}
    page = site.get(PAGE, {**HALF_YEAR, "action": "industryTrendRange"}).content.decode()
    assert "2 queued, 0 in flight. They belong to 1 collection" in page


def test_what_has_not_begun_is_left_out(site: Client) -> None:
    month = period_of(market_clock.today(), Granularity.MONTH)
    span = {"from": month.shift(-1).key, "to": month.shift(3).key}
    for address in (PAGE, f"{PAGE}live/"):
        page = html.unescape(site.get(address, HALF_YEAR | span).content.decode())
        assert "0 of 4 cells are stored (0 %). A fill would collect 4." in page
    assert site.get(FILL, HALF_YEAR | span | {"category": "1000", "to": month.key}).status_code == 200
    coming = site.get(PAGE, HALF_YEAR | span | {"from": month.next().key})
    assert (coming.status_code, "has not begun" in coming.content.decode()) == (400, True)


def test_trends_are_explained_only_where_one_is_under_way(site: Client) -> None:
    span = {"granularity": "month", "from": "2025-01", "to": "2025-03"}
    enqueue(hot("202501", cat_id="1000"))
    assert "1 queued" in (page := site.get(PAGE, span).content.decode())
    assert "that of a trend" not in page
    enqueue(trend("202501", "202502", cat_id="2000"))
    assert "They belong to 2 collections: that of a trend" in site.get(PAGE, span).content.decode()


def test_failed_cells_lead_to_the_failed_collections(site: Client, staff: Callable[..., Client]) -> None:
    failures = r'<(a|span) data-failures(?: href="([^"]*)")?( hidden)?>([^<]*)<'
    assert re.findall(failures, site.get(PAGE, HALF_YEAR).content.decode())[0][2:] == (" hidden", "")
    fail(hot("202504", cat_id="1000"))
    told = "The last collection of 1 cell failed."
    listed = "/admin/mengla/collection/?status=FAILED"
    for given, address in ((HALF_YEAR, f"{listed}&amp;action=hot"), (HALF_YEAR | {"action": ""}, listed)):
        page = site.get(PAGE, given).content.decode()
        assert re.findall(failures, page) == [("a", address, "", told)]
    assert site.get(f"{PAGE}live/", HALF_YEAR, **JSON).json()["content"]["failures"] == told
    page = staff("view_record").get(PAGE, HALF_YEAR).content.decode()
    assert re.findall(failures, page) == [("span", "", "", told)]


def test_subcategories_do_not_repeat_the_name_of_their_parent(site: Client) -> None:
    Category.objects.filter(cat_id="1000").update(name_cn="厨房")
    Category.objects.filter(cat_id="1001").update(name_cn="厨房>锅具")
    page = html.unescape(site.get(PAGE, HALF_YEAR | {"parent": "1001"}).content.decode())
    assert "厨房</a> › 锅具</p>" in page
    assert '<h2 id="title-map">Best sellers, 锅具, 2025-01 to 2025-06</h2>' in page
    assert "厨房>锅具" not in page


def test_children_are_opened(site: Client) -> None:
    store(hot("202501"))
    assert list(map_of(site, parent="1000")) == ["1000", "1001", "1002"]
    assert map_of(site, parent="1000")["1001"] == "PMMMMM"
    page = site.get(PAGE, HALF_YEAR).content.decode()
    assert "parent=1000" in page
    deeper = site.get(PAGE, {**HALF_YEAR, "parent": "1001"}).content.decode()
    assert "All level-1 categories" in deeper
    assert "parent=1000" in deeper  # the way back


@pytest.mark.parametrize(
    ("granularity", "count"), [("day", 30), ("month", 12), ("quarter", 8), ("year", 5), ("", 12)]
)
def test_the_range_by_default(site: Client, granularity: str, count: int) -> None:
    page = site.get(PAGE, {"granularity": granularity}).content.decode()
    assert len(re.findall(r'<th scope="col" data-period=', page)) == count


def test_a_year_of_days_for_thirty_categories_asks_few_questions(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_tree(make_tree(level1_count=30, child_count=0))
    commands: list[str] = []
    find = type(collection_of(Collection)).find

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        commands.append(self.name)
        return find(self, *arguments, **options)

    monkeypatch.setattr(type(collection_of(Collection)), "find", counted)
    rows = map_of(site, granularity="day", **{"from": "2024-01-01", "to": "2024-12-31"})
    assert [len(cells) for cells in rows.values()] == [366] * 30
    assert len(commands) < 20
    response = site.get(PAGE, {**HALF_YEAR, "granularity": "day", "from": "20240101", "to": "20241231"})
    assert len(response.content) < 600_000


def test_without_categories_it_says_what_to_do(site: Client) -> None:
    collection_of_categories().delete_many({})
    assert "import_categories" in site.get(PAGE).content.decode()


def collection_of_categories() -> Any:
    from apps.categories.models import Category

    return collection_of(Category)


@pytest.mark.parametrize(
    "given",
    [
        {"action": "nonsense"},
        {"granularity": "week"},
        {"from": "2025-13", "granularity": "month"},
        {"from": "2025-06", "to": "2025-01"},
        {"granularity": "day", "from": "2020-01-01", "to": "2025-01-01"},
        {"granularity": "month", "from": "2000-01", "to": "2099-12"},
        {"from": "２０２５-01"},
        {"from": "9" * 5000},
        {"from": "\x00"},
        {"parent": "77"},
        {"parent": "$ne"},
        {"parent": "\x00"},
        {"action": "\x00<script>"},
    ],
)
def test_what_cannot_be_read_is_told(site: Client, given: dict[str, str]) -> None:
    response = site.get(PAGE, given)
    page = response.content.decode()
    assert response.status_code == 400
    (problem,) = re.findall(r'role="alert">([^<]+)<', page)
    assert 5 < len(problem) < 300
    assert "<script>" not in problem


def test_a_refused_form_comes_back_as_it_was_sent(site: Client) -> None:
    given = {"action": "hot", "parent": "1001", "granularity": "quarter", "from": "2025-Q9", "to": "later"}

    def restored(**more: str) -> list[str]:
        response = site.get(PAGE, given | more)
        assert response.status_code == 400
        page = response.content.decode()
        selected = (
            r'<select [^>]*name="(?:action|parent|granularity)".*?<option value="([^"]*)"[^>]* selected'
        )
        for name in given.keys() & more.keys() | {"from", "to"}:
            assert f'aria-describedby="fault-{name}"' in page
        return re.findall(selected, page) + re.findall(r'name="(?:from|to)" [^>]*value="([^"]*)"', page)

    assert restored() == list(given.values())
    # What does not exist is not replaced by what does: the next request would show something else.
    assert restored(parent="77", action="bogus", granularity="week") == [
        "bogus",
        "77",
        "week",
        "2025-Q9",
        "later",
    ]


def test_periods_of_another_granularity_are_converted(site: Client) -> None:
    given = {"action": "hot", "parent": "1001", "granularity": "quarter", "from": "2024-11", "to": "2025"}
    page = site.get(PAGE, given).content.decode()
    assert re.findall(r"<option selected>([^<]+)", page) == ["2024-Q4", "2025-Q4"] * 2  # also to fill
    assert "2024-11 is a month. The figures shown are those of 2024-Q4." in page
    page = site.get(PAGE, given | {"granularity": "day", "from": "2020", "to": "2024"}).content.decode()
    assert "2024-12-02 to 2024-12-31" in page  # it would have too many days


def test_all_that_is_wrong_is_told(site: Client) -> None:
    given = {"action": "bogus", "parent": "77", "from": "abc", "to": "2026-13"}
    for address, more in ((PAGE, {}), (f"{PAGE}live/", {}), (FILL, {"category": "77"})):
        page = html.unescape(site.get(address, given | more).content.decode())
        for problem in (
            "Data set: There is no",
            ", industryTrendRange.",
            "Category: There is no",
            "From: 'abc' is",
            ". To: '2026-13' is",
        ):
            assert problem in page, address


# --- The overview ----------------------------------------------------------------------------------


def shares_of(client: Client, **parameters: str) -> dict[str, str]:
    """What each cell of the overview shows, by its data set and period; without spaces."""
    page = client.get(PAGE, {"granularity": "month", "from": "2025-01", "to": "2025-03"} | parameters)
    assert page.status_code == 200
    cells = re.findall(r'<td data-share="([\w:]+)">(.*?)</td>', page.content.decode(), re.DOTALL)
    return {key: "".join(re.sub(r"<[^>]+>", "", html).split()) for key, html in cells}


def test_without_a_data_set_all_of_them_are_shown_in_per_cent(site: Client) -> None:
    store(hot("202501", cat_id="1000"))
    store_empty(hot("202501", cat_id="2000"))
    store(hot("202502", cat_id="1000"))
    fail(hot("202502", cat_id="2000"))
    begin_attempt(hot("202503", cat_id="2000"))
    enqueue(hot("202503", cat_id="1000"))
    shares = shares_of(site)
    assert len(shares) == 5 * 3
    assert shares["hot:202501"] == "100%ofBestsellers,2025-01"
    assert shares["hot:202502"] == "50%ofBestsellers,2025-02×failed1"
    assert shares["hot:202503"] == "0%ofBestsellers,2025-03Qqueued1»inflight1"
    assert shares["high:202501"].startswith("0%")
    page = site.get(PAGE, {"granularity": "month", "from": "2025-01", "to": "2025-03"}).content.decode()
    assert "3 of 30 cells are stored (10 %). A fill would collect 25. 1 queued, 1 in flight." in page
    assert "action=hot&amp;granularity=month&amp;from=202502&amp;to=202502" in page
    # The data set as a whole, and those below one category.
    assert "action=hot&amp;granularity=month&amp;from=202501&amp;to=202503" in page
    assert shares_of(site, parent="1000")["hot:202501"].startswith("33%")


def test_only_all_is_100_per_cent_and_only_nothing_is_0() -> None:
    def percent(stored: int, missing: int) -> int:
        return Totals(present=stored, empty=0, missing=missing, stale=0, in_flight=0).percent

    assert [percent(0, 0), percent(0, 5), percent(1, 999), percent(999, 1), percent(5, 0)] == [
        0,
        0,
        1,
        99,
        100,
    ]


# --- What the page follows -------------------------------------------------------------------------


def test_the_page_follows_what_is_under_way(site: Client) -> None:
    first = script_of(site)
    assert (first["is_active"], first["seconds"]) == (False, 15)
    # Nothing has changed: the answer has no content.
    told = follow(site, first, first["seen"])
    assert told == {"is_active": False, "seconds": 15}
    enqueue(hot("202501", cat_id="1000"))
    told = follow(site, first, first["seen"])
    assert (told["is_active"], told["seconds"]) == (True, 3)
    assert told["content"]["rows"] == {"1000": ["QMMMMM", "0/6"], "2000": ["MMMMMM", "0/6"]}
    assert told["content"]["legend"]["Q"] == "1"
    again = follow(site, first, told["seen"])
    assert "content" not in again and again["is_active"]
    attempt = claim()
    assert live_rows(site, first)["1000"][0] == "FMMMMM"
    answer(attempt, result_for(hot("202501", cat_id="1000")))
    told = follow(site, first, told["seen"])
    assert (told["is_active"], told["content"]["rows"]["1000"]) == (False, ["PMMMMM", "1/6"])


def test_a_collection_that_came_and_went_is_noticed(site: Client) -> None:
    first = script_of(site)
    fail(hot("202502", cat_id="2000"))
    told = follow(site, first, first["seen"])
    assert told["content"]["rows"]["2000"][0] == "MXMMMM"


def test_a_fill_that_is_not_planned_yet_keeps_the_page_awake(site: Client) -> None:
    site.post(FILL, HALF_YEAR | {"category": ["1000", "2000"]})
    first = script_of(site)
    assert first["is_active"]
    (run,) = list_running(10)
    plan_now(str(run["_id"]))
    assert live_rows(site, first) == {"1000": ["QQQQQQ", "0/6"], "2000": ["QQQQQQ", "0/6"]}
    page = site.get(PAGE, HALF_YEAR).content.decode()
    assert "A fill would collect 0. 12 queued, 0 in flight." in page


def test_the_overview_follows_too(site: Client) -> None:
    span = {"granularity": "month", "from": "2025-01", "to": "2025-03"}
    enqueue(hot("202501", cat_id="1000"))
    told = site.get(f"{PAGE}live/", span, **JSON).json()
    assert "data-tenths" in told["content"]["shares"]["hot:202501"]
    assert told["content"]["rows"]["hot"] == "0 % stored"


@pytest.mark.parametrize(
    "given", [{"seen": "x" * 5000}, {"seen": "\x00!"}, {"from": "2025-99"}, {"other": "1"}]
)
def test_a_hostile_question_of_the_script(site: Client, given: dict[str, str]) -> None:
    response = site.get(f"{PAGE}live/", HALF_YEAR | given, **JSON)
    assert response.status_code == (200 if "seen" in given else 400)
    assert "content" in response.json() or response.json()["error"]


def script_of(client: Client) -> dict[str, Any]:
    """The facts that the page gives to its script."""
    page = client.get(PAGE, HALF_YEAR).content.decode()
    (found,) = re.findall(r'<script id="coverage" type="application/json">(.*?)</script>', page)
    facts: dict[str, Any] = json.loads(found)
    return facts


def follow(client: Client, facts: dict[str, Any], seen: str = "") -> Any:
    """What the script is answered that has seen this."""
    return client.get(f"{facts['live']}&{urlencode({'seen': seen})}", **JSON).json()


def live_rows(client: Client, facts: dict[str, Any]) -> Any:
    return follow(client, facts)["content"]["rows"]


# --- One cell --------------------------------------------------------------------------------------


def test_a_cell_shows_its_record_and_collects_nothing(site: Client) -> None:
    store(hot("202501"))
    before = len(collections())
    page = site.get(CELL, ONE).content.decode()
    assert "fresh" in page and "Collected" in page
    # So roughly that it is still true a little later.
    assert re.search(r"<dt>Collected</dt><dd>[\d :-]+ \(less than a minute ago\)</dd>", page)
    assert (
        page.count("<tr>") == 1 + 5 + 2 + 2
    )  # its figures, the collection that has stored them, its attempt
    rows = len(figures_of(hot("202501"))["list"])
    assert f"The first 5 of {rows} rows, 6 of 25 columns." in page
    assert 'name="period" value="202501"' in page
    told = site.get(CELL, ONE, **JSON).json()
    assert told["mark"] == "P"
    assert "<table" in told["html"]
    missing = site.get(CELL, ONE | {"period": "202502"}, **JSON).json()
    assert missing["mark"] == "M"
    assert "No record is stored" in missing["html"]
    assert len(collections()) == before


def test_the_figures_of_a_cell_lead_down_to_categories(site: Client) -> None:
    rows = [{"catNameCn": "上级>下级", "catName": "x", "monthSales": 1, "catId1": 1000, "catId2": 1002}]
    store(hot("202501"), {"hotList": {"code": 0, "data": {"list": rows}}})
    page = site.get(CELL, ONE).content.decode()
    link = r'href="/admin/data/\?action=hot&amp;category=1002&amp;granularity=month&amp;period=202501"'
    assert re.search(rf'<a class="cp-down" {link} title="上级&gt;下级">下级</a>', page)


def test_a_cell_says_that_it_had_more_collections(site: Client) -> None:
    for _ in range(5):
        fail(hot("202501"))
    assert "Only the newest" not in site.get(CELL, ONE).content.decode()
    fail(hot("202501"))
    assert "Only the newest 5 are shown." in site.get(CELL, ONE).content.decode()


def test_a_point_of_a_trend_and_an_empty_record(site: Client) -> None:
    store(trend("202501", "202503"))
    told = site.get(CELL, ONE | {"action": "industryTrendRange", "period": "202502"}, **JSON).json()
    assert "2025-02" in told["html"] and told["mark"] == "P"
    store_empty(hot("202504"))
    told = site.get(CELL, ONE | {"period": "202504"}, **JSON).json()
    assert told["mark"] == "E"
    assert "The list is empty" in told["html"]


def test_a_failed_cell_says_why_and_is_retried(site: Client) -> None:
    failed = fail(hot("202501"), CollectionError.TIMEOUT, "Nobody there <b>")
    told = site.get(CELL, ONE, **JSON).json()
    assert (told["mark"], told["is_under_way"]) == ("X", False)
    html = told["html"]
    assert re.search(
        r"The last collection failed at [\d :-]+ after 1 attempt: No answer came in time\.", html
    )
    assert "Nobody there &lt;b&gt;" in html
    assert f"/admin/mengla/collection/{failed['_id']}/change/" in html
    assert "Attempts of the last collection" in html and "<td>Timed out</td>" in html
    assert ">Retry</button>" in html
    assert site.post(PLAN, ONE, **JSON).json()["mark"] == "Q"
    told = site.get(CELL, ONE, **JSON).json()
    assert (told["mark"], told["is_under_way"]) == ("Q", True)
    assert "<button" not in told["html"]
    assert [one["status"] for one in collections()] == ["FAILED", "PENDING"]


def test_the_retry_of_a_failed_trend_collects_its_whole_range(site: Client) -> None:
    fail(trend("202501", "202506"))
    site.post(PLAN, ONE | {"action": "industryTrendRange", "period": "202503"})
    assert [one["identity"] for one in collections(status="PENDING")] == [
        "industryTrendRange:1001:month:202501~202506"
    ]


def test_a_cell_names_the_run_that_asked_for_it(site: Client) -> None:
    site.post(FILL, HALF_YEAR | {"category": "1001"})
    (run,) = list_running(10)
    plan_now(str(run["_id"]))
    html = site.get(CELL, ONE, **JSON).json()["html"]
    assert f"/admin/sync_tasks/synctask/{run['_id']}/change/" in html
    assert ">Fill of gaps</a>" in html


def test_an_estimate_is_shown_while_the_queue_moves(site: Client, settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 30.0
    settings.COLLECT_SERVICE_URL = "http://service"
    note_heartbeat()
    store(hot("202412"))
    collection_of(Collection).update_many({}, {"$set": {"execution_id": "x"}})
    for month in ("202503", "202502", "202501"):
        enqueue(hot(month), Priority.BACKFILL)
    html = site.get(CELL, ONE, **JSON).json()["html"]
    assert "<dt>Ahead in queue</dt><dd>2</dd><dt>Estimated time</dt><dd>1 min 30 s</dd>" in html


def test_a_cell_that_waits_says_why(site: Client, settings: Any) -> None:
    site.post(PLAN, ONE)
    settings.COLLECT_SERVICE_URL = None
    page = site.get(CELL, ONE).content.decode()
    assert "It waits in the queue. No collection service is configured" in page
    assert "<dt>Ahead in queue</dt><dd>0</dd>" in page


def test_a_cell_is_planned_and_noted(site: Client) -> None:
    response = site.post(PLAN, ONE, **JSON)
    assert (response.status_code, response.json()["mark"]) == (200, "Q")
    (planned,) = collections()
    assert (planned["identity"], planned["priority"]) == ("hot:1001:month:202501", Priority.MANUAL)
    assert (planned["requested_by"], planned["is_forced"]) == ("chief", True)
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("chief", str(planned["_id"]))
    name = "Best sellers, 类目1000 › 类目1001, 2025-01"
    assert response.json()["message"] == f"Queued the collection of {name}."
    assert (change_text(entry), object_text(entry)) == (f"Queued the collection of {name}.", name)
    with override("zh-hans"):
        assert "Best sellers" not in change_text(entry) + object_text(entry)
        assert "类目1000 › 类目1001" in object_text(entry)
    again = site.post(PLAN, ONE, follow=True)
    assert "already being collected" in again.content.decode()
    assert len(collections()) == 1


# --- Filling ---------------------------------------------------------------------------------------


def test_before_filling_it_says_what_that_means(site: Client, settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 2.0
    settings.MAX_INFLIGHT_REQUESTS = 1
    for month in ("202501", "202502"):
        store(hot(month))
    enqueue(hot("202412"))
    for one in collections(active_key=None):
        collection_of(Collection).update_one(
            {"_id": one["_id"]},
            [
                {
                    "$set": {
                        "execution_id": "x",
                        "dispatched_at": {"$subtract": ["$finished_at", 30_000]},
                    }
                }
            ],
        )
    page = site.get(FILL, HALF_YEAR | {"category": ["1001", "1002"]}).content.decode()
    assert 'data-count="10"' in page  # 2 x 6 periods, 2 of them are there
    assert "2 already stored" in page
    assert "5 min 0 s" in page  # 10 x 30 s
    assert "at 2.0 per minute" in page
    assert "done in about 5 min 30 s" in page  # behind the one that waits
    assert list_running(10) == []


def test_what_is_under_way_is_not_queued_twice(site: Client) -> None:
    span = HALF_YEAR | {"category": "1001"}
    enqueue(hot("202501"))
    page = site.get(FILL, span).content.decode()
    assert 'data-count="5"' in page and "1 more under way already" in page
    site.post(FILL, span)
    (run,) = list_running(10)
    plan_now(str(run["_id"]))
    page = site.get(FILL, span).content.decode()
    assert "Nothing to queue: all 6 collections that are needed are queued or in flight already." in page
    assert "Fill now" not in page


def test_the_rate_is_that_of_the_spacing_when_nothing_was_answered(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 3.0
    assert present_pace() == Pace(20.0, is_measured=False)
    assert present_pace().seconds_for(7) == 21


def test_a_range_is_filled_by_a_sync_task(site: Client) -> None:
    store(hot("202501"))
    response = site.post(FILL, HALF_YEAR | {"category": ["1001", "2001"]}, follow=True)
    (run,) = list_running(10)
    run_id = str(run["_id"])
    assert f"/admin/sync_tasks/synctask/{run_id}/change/" in response.content.decode()
    assert (run["task_id"], run["requested_by"], run["period"]) == ("fill", "chief", "202501~202506")
    plan_now(run_id)
    wanted = {f"hot:{cat_id}:month:2025{month:02}" for cat_id in (1001, 2001) for month in range(1, 7)}
    assert set(identities_of(run_id)) == wanted - {"hot:1001:month:202501"}
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (run_id, "chief")
    assert "2025-01 to 2025-06" in entry.change_message


def test_a_second_fill_is_sent_to_the_first(site: Client) -> None:
    site.post(FILL, HALF_YEAR | {"category": ["1001", "1002"]})
    (run,) = list_running(10)
    page = site.post(FILL, HALF_YEAR | {"category": ["1002", "1001"]}, follow=True).content.decode()
    assert "already running" in page
    assert f"/admin/sync_tasks/synctask/{run['_id']}/change/" in page
    assert LogEntry.objects.count() == 1


def test_another_fill_runs_beside_the_first(site: Client) -> None:
    for category in ("1001", "1002"):
        site.post(FILL, HALF_YEAR | {"category": [category]})
    assert [run["task_id"] for run in list_running(10)] == ["fill", "fill"]


def test_nothing_to_fill_is_told(site: Client) -> None:
    store(hot("202501"))
    asked = {"action": "hot", "granularity": "month", "from": "202501", "to": "202501", "category": "1001"}
    page = site.get(FILL, asked).content.decode()
    assert "Nothing to fill" in page
    assert "Fill now" not in page


def test_a_refused_fill_is_corrected_where_it_is_told(site: Client) -> None:
    page = site.get(
        FILL, HALF_YEAR | {"from": "2025-99", "to": "x", "category": ["1001", "2001"]}
    ).content.decode()
    for name, typed in (("from", "2025-99"), ("to", "x")):
        (tag,) = re.findall(rf'<input id="period-{name}"[^>]*>', page)
        assert f'value="{typed}"' in tag
        assert f'aria-describedby="fault-{name}"' in tag
    kept = re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page)
    chosen = [("action", "hot"), ("granularity", "month"), ("category", "1001"), ("category", "2001")]
    assert [one for one in kept if one in chosen] == chosen


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"category": "77"},
        {"category": "\x00"},
        {"category": ["1001"] + [str(number) for number in range(2000, 2600)]},
        {"category": "1001", "from": "2025-99"},
        {"category": "1001", "action": "x"},
    ],
)
def test_a_fill_that_cannot_be_read(site: Client, method: str, given: dict[str, Any]) -> None:
    response = getattr(site, method)(FILL, HALF_YEAR | given)
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert list_running(10) == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        ONE | {"period": "2025-13"},
        ONE | {"category": "77"},
        ONE | {"category": "\x00"},
        ONE | {"action": "\ud800"},
        ONE | {"granularity": "{}"},
        ONE | {"period": "9" * 9999},
    ],
)
def test_a_cell_that_cannot_be_read(site: Client, given: dict[str, str]) -> None:
    clean = {name: value.encode("utf-8", "replace").decode() for name, value in given.items()}
    for response in (site.get(CELL, clean), site.post(PLAN, clean)):
        assert response.status_code == 400
        assert 'role="alert"' in response.content.decode()
    assert site.get(CELL, clean, **JSON).json()["error"]
    assert collections() == []


# --- Who may do it ---------------------------------------------------------------------------------


def test_view_permission_sees_and_changes_nothing(viewer: Client) -> None:
    page = viewer.get(PAGE, HALF_YEAR).content.decode()
    assert 'type="checkbox"' not in page
    assert "Fill…" not in page
    assert "Collect now" not in viewer.get(CELL, ONE).content.decode()
    assert viewer.get(FILL, HALF_YEAR | {"category": "1001"}).status_code == 403
    assert viewer.post(FILL, HALF_YEAR | {"category": "1001"}).status_code == 403
    assert viewer.post(PLAN, ONE).status_code == 403
    assert viewer.get(f"{PAGE}live/", HALF_YEAR, **JSON).status_code == 200
    assert viewer.post(PLAN, ONE, **JSON).json()["error"]
    assert collections() == [] and list_running(10) == []
    assert not LogEntry.objects.exists()


def test_the_permission_to_change_shows_the_buttons(staff: Callable[..., Client]) -> None:
    client = staff(*CHANGE)
    page = client.get(PAGE, HALF_YEAR).content.decode()
    assert page.count('type="checkbox" name="category"') == 2
    assert "Collect now" in client.get(CELL, ONE).content.decode()
    client.post(FILL, HALF_YEAR | {"category": "1001"})
    (run,) = list_running(10)
    assert find_run(str(run["_id"])) is not None


@pytest.mark.parametrize("path", [PAGE, CELL, f"{PAGE}live/"])
def test_without_permission_nothing_is_shown(staff: Callable[..., Client], client: Client, path: str) -> None:
    assert staff("view_category").get(path, ONE).status_code == 403
    assert client.get(path).headers["Location"].startswith("/admin/login/?next=")
    assert client.get(path, **JSON).status_code == 403


def test_changes_need_a_post_with_a_token(site: Client) -> None:
    assert site.get(PLAN, ONE).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = site.cookies
    assert strict.post(PLAN, ONE).status_code == 403
    assert strict.post(FILL, HALF_YEAR | {"category": "1001"}).status_code == 403
    assert collections() == []


def test_without_mongodb_it_is_an_outage_page(site: Client, mongo_gone: Callable[[], None]) -> None:
    mongo_gone()
    assert site.get(PAGE).status_code == 503


def test_the_newest_period_is_the_last_that_is_over() -> None:
    from apps.admin.pages.coverage.filters import read_filters

    filters = read_filters({"granularity": "quarter"}, today=parse_period("20250701").first_day)
    assert (filters.start.key, filters.end.key) == ("2023Q3", "2025Q2")
