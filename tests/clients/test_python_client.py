"""The generated Python client reads a running server, through the attributes of its classes."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest

from apps.core import market_clock
from tests.integration.stack import Stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("python_client"),
]

WAIT_SECONDS = 25
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
# By action: what is asked for, and the classes of the figures.
ASKED = {
    "high": {"timest": "2025-03"},
    "industryViewV2": {"timest": "2025-Q1"},
    "industryTrendRange": {"timest": "2025-06", "star_range": "2025-01", "end_range": "2025-06"},
}


@pytest.fixture
def new_client(stack: Stack) -> Iterator[Callable[[str], Any]]:
    """Makes clients that send a token."""
    from mengla_client import AuthenticatedClient

    made: list[Any] = []

    def make(token: str) -> Any:
        made.append(AuthenticatedClient(base_url=stack.url, token=token, timeout=WAIT_SECONDS + 15))
        return made[-1]

    yield make
    for one in made:
        one.get_httpx_client().close()


@pytest.fixture
def client(new_client: Callable[[str], Any], token: str) -> Any:
    """A client with a reader's token."""
    return new_client(token)


@pytest.fixture
def admin(new_client: Callable[[str], Any], stack: Stack) -> Any:
    """A client with the login of an admin."""
    return new_client(stack.token)


def read(response: Any, kind: type, status: int = 200) -> Any:
    """Return the parsed response, whose class is this one and which holds all that was sent."""
    assert response.status_code == status, response.content
    assert type(response.parsed) is kind
    assert instants_read(response.parsed.to_dict()) == instants_read(json.loads(response.content))
    assert response.headers["X-Request-ID"]
    return response.parsed


def instants_read(value: Any) -> Any:
    """Return JSON with its instants as such: they may be written in several ways."""
    if isinstance(value, dict):
        return {name: instants_read(one) for name, one in value.items()}
    if isinstance(value, list):
        return [instants_read(one) for one in value]
    return datetime.fromisoformat(value) if isinstance(value, str) and INSTANT.fullmatch(value) else value


class TestFigures:
    def test_a_ranking(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_hot
        from mengla_client.models import (
            CategoryChild,
            FiguresBodyRequest,
            RankingData,
            RankingResponse,
            RankingRow,
        )

        body = FiguresBodyRequest(cat_id="4200", timest="2025-05", wait=WAIT_SECONDS)
        response = mengla_hot.sync_detailed(client=client, body=body)
        data = read(response, RankingResponse).data
        assert type(data) is RankingData
        assert {type(row) for row in data.list_} == {RankingRow}
        assert all(row.cat_name_cn and row.month_sales > 0 for row in data.list_)
        assert {type(child) for child in data.secondary_categories} == {CategoryChild}
        assert response.headers["X-MengLa-Freshness"] == "fresh"
        assert int(response.headers["Age"]) >= 0

    def test_a_distribution(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_industry_view
        from mengla_client.models import (
            BrandItem,
            DistributionData,
            DistributionResponse,
            FiguresBodyRequest,
            RangeItem,
        )

        body = FiguresBodyRequest(cat_id=4200, timest="2025-04", wait=WAIT_SECONDS)
        data = read(mengla_industry_view.sync_detailed(client=client, body=body), DistributionResponse).data
        assert type(data) is DistributionData
        assert {type(one) for one in data.industry_price_range_dto_list} == {RangeItem}
        assert {type(one) for one in data.industry_brand_rate_dto_list} == {BrandItem}

    def test_a_trend(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_industry_trend
        from mengla_client.models import TrendBodyRequest, TrendPoint, TrendResponse

        body = TrendBodyRequest(
            cat_id="all", timest="2025-03", star_range="2025-01", end_range="2025-03", wait=WAIT_SECONDS
        )
        points = read(mengla_industry_trend.sync_detailed(client=client, body=body), TrendResponse).data
        assert [type(point) for point in points] == [TrendPoint] * 3
        assert [point.timest for point in points] == ["2025-01", "2025-02", "2025-03"]
        assert all(point.month_gmv > 0 for point in points)

    @pytest.mark.parametrize("action", ASKED)
    def test_an_address_of_all_data_sets_tells_them_apart(self, client: Any, action: str) -> None:
        from mengla_client.api.figures import mengla_read
        from mengla_client.models import DistributionData, FiguresResponse, RankingData, TrendPoint

        kinds = {"high": RankingData, "industryViewV2": DistributionData, "industryTrendRange": list}
        response = mengla_read.sync_detailed(
            client=client,
            action=action_of(action),
            primary_cat_id="4200",
            wait=WAIT_SECONDS,
            **ASKED[action],
        )
        data = read(response, FiguresResponse).data
        assert type(data) is kinds[action]
        if isinstance(data, list):
            assert [type(point) for point in data] == [TrendPoint] * 6

    def test_no_figures(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_read
        from mengla_client.models import FiguresResponse

        response = mengla_read.sync_detailed(
            client=client,
            action=action_of("hot"),
            primary_cat_id="4300",
            timest="2025-02",
            extra=json.dumps({"_sim": {"empty_rate": 1}}),
            wait=WAIT_SECONDS,
        )
        parsed = read(response, FiguresResponse)
        assert parsed.data is None
        assert parsed.message.startswith("empty:")
        assert response.headers["X-MengLa-Freshness"] == "empty"

    def test_a_period_that_is_not_over(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_chance
        from mengla_client.models import FiguresBodyRequest, RankingResponse

        body = FiguresBodyRequest(timest=str(market_clock.today().year), cat_id="4400", wait=WAIT_SECONDS)
        response = mengla_chance.sync_detailed(client=client, body=body)
        assert read(response, RankingResponse).data.list_
        assert response.headers["X-MengLa-Provisional"] == "1"

    def test_what_is_unchanged(self, client: Any) -> None:
        from mengla_client.api.categories import categories_list
        from mengla_client.models import CategoryListResponse

        first = categories_list.sync_detailed(client=client)
        read(first, CategoryListResponse)
        second = categories_list.sync_detailed(client=client, if_none_match=first.headers["ETag"])
        assert second.status_code == 304
        assert second.parsed is None

    def test_an_export(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_export, mengla_hot
        from mengla_client.models import ActionEnum, FiguresBodyRequest, MenglaExportFormat

        body = FiguresBodyRequest(cat_id="4200", timest="2025-01", wait=WAIT_SECONDS)
        ranking = mengla_hot.sync(client=client, body=body)
        asked = {"action": ActionEnum.HOT, "cat_ids": "4200", "from_": "2025-01", "to": "2025-02"}
        response = mengla_export.sync_detailed(client=client, **asked)
        assert type(response.parsed) is str
        *rows, last = map(json.loads, response.parsed.splitlines())
        assert [row["catNameCn"] for row in rows] == [row.cat_name_cn for row in ranking.data.list_]
        assert last["missing"] == [{"catId": "4200", "periods": ["2025-02"]}]
        assert response.headers["X-MengLa-Export-Missing"] == "1"

        workbook = mengla_export.sync_detailed(client=client, format_=MenglaExportFormat.XLSX, **asked)
        assert workbook.content.startswith(b"PK")


class TestWaiting:
    def test_a_miss_is_202_and_its_collection_can_be_followed(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_collection, mengla_high
        from mengla_client.models import CollectingResponse, CollectionResponse, FiguresBodyRequest

        body = FiguresBodyRequest(cat_id="4300", timest="2024-12")
        response = mengla_high.sync_detailed(client=client, body=body)
        brief = read(response, CollectingResponse, 202).data.collection
        assert response.headers["Location"] == f"/api/mengla/collections/{brief.id}"
        assert int(response.headers["Retry-After"]) >= 1
        assert isinstance(brief.created_at, datetime)

        followed = mengla_collection.sync_detailed(brief.id, client=client)
        collection = read(followed, CollectionResponse).data
        assert collection.action == action_of("high")
        assert (collection.cat_id, collection.star_range) == ("4300", "202412")
        assert isinstance(collection.created_at, datetime)

    def test_too_many_are_refused(self, stack: Stack, new_client: Callable[[str], Any]) -> None:
        from mengla_client.api.figures import mengla_hot
        from mengla_client.models import CollectingResponse, ErrorResponse, FiguresBodyRequest

        stack.simulator.set_knobs(down=True)
        impatient = new_client(stack.create_token()[0])
        bodies = [FiguresBodyRequest(cat_id="4400", timest=f"2024-{month:02}") for month in range(1, 13)]
        try:
            responses = [mengla_hot.sync_detailed(client=impatient, body=body) for body in bodies]
        finally:
            stack.reset()
        read(responses[0], CollectingResponse, 202)
        assert read(responses[-1], ErrorResponse, 429).error == "RATE_LIMITED"
        assert int(responses[-1].headers["Retry-After"]) >= 1

    def test_a_collection_that_failed(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_hot
        from mengla_client.models import CollectingResponse, ErrorResponse, FiguresBodyRequest

        body = FiguresBodyRequest.from_dict(
            {
                "catId": "4200",
                "timest": "2024-02",
                "wait": WAIT_SECONDS,
                "extra": {"_sim": {"failure_rate": 1}},
            }
        )
        response = mengla_hot.sync_detailed(client=client, body=body)
        assert read(response, ErrorResponse, 502).error == "COLLECT_FAILED"
        body.wait = 0  # the same request again starts a new collection
        read(mengla_hot.sync_detailed(client=client, body=body), CollectingResponse, 202)


class TestErrors:
    def test_invalid_input(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_hot
        from mengla_client.models import ErrorResponse, FiguresBodyRequest

        body = FiguresBodyRequest(cat_id="4200", timest="June")
        error = read(mengla_hot.sync_detailed(client=client, body=body), ErrorResponse, 400)
        assert error.success is False
        assert error.error == "VALIDATION_ERROR"
        assert list(error.fields.to_dict()) == ["timest"]
        assert error.fields["timest"][0]

    def test_an_unknown_token(self, new_client: Callable[[str], Any]) -> None:
        from mengla_client.api.auth import auth_me
        from mengla_client.models import ErrorResponse

        response = auth_me.sync_detailed(client=new_client("mlc_unknown"))
        assert read(response, ErrorResponse, 401).error == "UNAUTHENTICATED"
        assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_rights_that_are_not_enough(self, client: Any) -> None:
        from mengla_client.api.sync_tasks import sync_tasks_list
        from mengla_client.models import ErrorResponse

        error = read(sync_tasks_list.sync_detailed(client=client), ErrorResponse, 403)
        assert error.error == "PERMISSION_DENIED"

    def test_what_is_not_there(self, client: Any) -> None:
        from mengla_client.api.categories import categories_retrieve
        from mengla_client.models import ErrorResponse

        error = read(categories_retrieve.sync_detailed("999999", client=client), ErrorResponse, 404)
        assert (error.error, error.detail) == ("NOT_FOUND", None)

    def test_a_conflict(self, admin: Any) -> None:
        from mengla_client.api.panels import panel_config, panel_config_update
        from mengla_client.models import ErrorResponse, PanelConfigChangeRequest, PanelConfigResponse

        config = read(panel_config.sync_detailed(client=admin), PanelConfigResponse).data
        body = PanelConfigChangeRequest.from_dict(
            {"layout": {"defaultPeriod": "year"}, "version": config.version + 1}
        )
        error = read(panel_config_update.sync_detailed(client=admin, body=body), ErrorResponse, 409)
        assert error.detail == f"version={config.version}"


class TestLists:
    def test_the_category_tree(self, client: Any) -> None:
        from mengla_client.api.categories import categories_list, categories_retrieve
        from mengla_client.models import CategoryChild, CategoryListResponse, CategoryResponse

        tree = read(categories_list.sync_detailed(client=client), CategoryListResponse).data
        first = next(one for one in tree if one.children)
        assert type(first.cat_id) is int
        assert {type(child) for child in first.children} == {CategoryChild}
        # An id is accepted in the form in which it was sent.
        one = read(categories_retrieve.sync_detailed(first.cat_id, client=client), CategoryResponse).data
        assert one == first

    def test_records_page_by_page(self, client: Any) -> None:
        from mengla_client.api.figures import mengla_records
        from mengla_client.models import Record, RecordPageResponse

        pages = []
        cursor: dict[str, str] = {}
        while not pages or cursor:
            response = mengla_records.sync_detailed(
                client=client, action=action_of("industryTrendRange"), limit=2, **cursor
            )
            pages.append(read(response, RecordPageResponse).data)
            cursor = {"cursor": pages[-1].next_cursor} if pages[-1].next_cursor else {}
        records = [record for page in pages for record in page.records]
        assert len(pages) >= 2
        assert {type(record) for record in records} == {Record}
        assert len({record.id for record in records}) == len(records) >= 3
        assert all(isinstance(record.collected_at, datetime) for record in records)
        assert not any(record.provisional for record in records)

    def test_a_sync_task(self, admin: Any) -> None:
        from mengla_client.api.panels import panel_task_run
        from mengla_client.api.sync_tasks import sync_task, sync_tasks_list
        from mengla_client.models import (
            StartedPanelTaskResponse,
            SyncTaskDetailResponse,
            SyncTaskPageResponse,
        )

        response = panel_task_run.sync_detailed("mengla_single_day", client=admin)
        started = read(response, StartedPanelTaskResponse, 202).data
        assert response.headers["Location"] == f"/api/sync-tasks/{started.sync_task_id}"
        run = read(sync_task.sync_detailed(started.sync_task_id, client=admin), SyncTaskDetailResponse).data
        assert (run.task_id, run.trigger) == ("mengla_single_day", "api")
        assert isinstance(run.started_at, datetime)
        assert isinstance(run.progress.total, int)
        page = read(sync_tasks_list.sync_detailed(client=admin, limit=1), SyncTaskPageResponse).data
        assert [one.id for one in page.tasks] == [started.sync_task_id]

    def test_every_address_without_parameters(self, admin: Any) -> None:
        """They are parsed, and nothing that was sent is lost."""
        modules = [module for module in operations() if reads_without_parameters(module)]
        assert len(modules) >= 20
        for module in modules:
            response = module.sync_detailed(client=admin)
            read(response, type(response.parsed))


def action_of(value: str) -> Any:
    """Return an action as the client has it."""
    models = importlib.import_module("mengla_client.models")
    return models.ActionEnum(value)


def operations() -> Iterator[ModuleType]:
    """Every address of the generated client."""
    package = importlib.import_module("mengla_client.api")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.ispkg:
            yield importlib.import_module(found.name)


def reads_without_parameters(module: ModuleType) -> bool:
    parameters = inspect.signature(module._get_kwargs).parameters.values()
    return all(one.default is not one.empty for one in parameters) and module._get_kwargs()["method"] == "get"
