"""What an admin page does with the panels, the migration behind them, and the view it lists them with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps as django_apps
from django.db import connection
from django.db.utils import DatabaseError

from apps.core.errors import Conflict, InvalidInput
from apps.core.storage.mongo import collection_of
from apps.panels import selectors, services
from apps.panels.config import DEFAULT_CONFIG, PanelConfig
from apps.panels.errors import UnknownModule, VersionConflict
from apps.panels.models import PanelLayout, PanelModule

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

migration = importlib.import_module("apps.panels.migrations.0002_defaults")


class _Editor:
    connection = connection


@pytest.fixture
def migrate() -> Callable[[], None]:
    """Run the migration's steps, as the first start of an installation does."""

    def run() -> None:
        migration.create_defaults(django_apps, _Editor)
        migration.create_view(django_apps, _Editor)

    return run


def ids(config: PanelConfig) -> list[str]:
    return [module.id for module in config.modules]


class TestMigration:
    def test_it_stores_the_defaults(self, migrate: Callable[[], None]) -> None:
        assert collection_of(PanelLayout).count_documents({}) == 0
        migrate()
        stored = collection_of(PanelLayout).find_one({"_id": "default"})
        assert stored is not None
        assert PanelConfig.from_document(stored) == DEFAULT_CONFIG

    def test_it_may_be_repeated_and_leaves_what_an_operator_changed(
        self, migrate: Callable[[], None]
    ) -> None:
        migrate()
        services.change_config(changed_by="op", modules=[{"id": "hot", "is_enabled": False}])
        changed = selectors.read_config()
        migrate()
        assert selectors.read_config() == changed
        assert changed.updated_by == "op"

    def test_a_lost_document_is_the_defaults_and_can_be_changed(self) -> None:
        assert selectors.read_config() == DEFAULT_CONFIG
        changed = services.change_config(
            changed_by="op", layout={"default_period": "day"}, expected_version=1
        )
        assert changed.version == 2
        assert selectors.read_config() == changed


class TestModules:
    def test_they_are_listed_in_their_order(self) -> None:
        services.change_config(changed_by="op", modules=[{"id": "overview", "order": 500}])
        assert [one.id for one in selectors.list_modules()] == ["high", "hot", "chance", "overview"]
        assert selectors.find_module("overview").order == 500
        with pytest.raises(UnknownModule):
            selectors.find_module("cold")

    def test_reordering_names_each_once(self) -> None:
        config = services.reorder_modules(["hot", "chance", "overview", "high"], changed_by="op")
        assert ids(config) == ["hot", "chance", "overview", "high"]
        assert [one.order for one in config.modules] == [0, 1, 2, 3]
        bad: list[Any] = [[], ["hot"], ["hot", "hot", "overview", "high"], [*ids(config), "cold"]]
        for one in bad:
            with pytest.raises(InvalidInput):
                services.reorder_modules(one, changed_by="op")
        assert selectors.read_config() == config

    @pytest.mark.parametrize(
        ("position", "order"),
        [
            (0, ["hot", "overview", "high", "chance"]),
            (-5, ["hot", "overview", "high", "chance"]),
            (1, ["overview", "hot", "high", "chance"]),
            (2, ["overview", "high", "hot", "chance"]),
            (3, ["overview", "high", "chance", "hot"]),
            (99, ["overview", "high", "chance", "hot"]),
        ],
    )
    def test_moving_one_moves_the_others_up(self, position: int, order: list[str]) -> None:
        assert ids(services.move_module("hot", position=position, changed_by="op")) == order

    def test_switching_one(self) -> None:
        config = services.set_module_enabled("hot", is_enabled=False, changed_by="op", expected_version=1)
        assert [one.is_enabled for one in config.modules] == [True, True, False, True]
        assert (config.updated_by, config.version) == ("op", 2)
        with pytest.raises(VersionConflict) as caught:
            services.set_module_enabled("hot", is_enabled=True, changed_by="op", expected_version=1)
        assert caught.value.version == 2
        with pytest.raises(VersionConflict):
            services.move_module("hot", position=0, changed_by="op", expected_version=1)
        with pytest.raises(VersionConflict):
            services.reorder_modules(ids(config), changed_by="op", expected_version=1)
        assert selectors.read_config() == config

    @pytest.mark.parametrize("module_id", ["cold", "", "\0", "$where"])
    def test_an_unknown_one(self, module_id: str) -> None:
        with pytest.raises(UnknownModule):
            services.set_module_enabled(module_id, is_enabled=True, changed_by="op")
        with pytest.raises(UnknownModule):
            services.move_module(module_id, position=0, changed_by="op")

    def test_props_of_a_form_are_checked_as_those_of_the_api(self) -> None:
        hidden = ({"a": "\ud800"}, {"a": "\x1b"}, {"a": ["\u202e"]}, {"a\x00": 1}, {"a\u202e": 1})
        for props in (*hidden, [], "x", None, {"a": float("nan")}, {"a": object()}):
            with pytest.raises(InvalidInput) as caught:
                services.change_config(changed_by="op", modules=[{"id": "hot", "props": props}])
            assert set(caught.value.fields or {}) == {"modules.0.props"}

    def test_a_change_that_others_always_overtake_gives_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tries: list[int] = []

        def overtaken(config: PanelConfig, *, replaces: int) -> bool:
            tries.append(replaces)
            return False

        monkeypatch.setattr(services, "_store", overtaken)
        with pytest.raises(Conflict):
            services.change_config(changed_by="op", layout={"default_period": "day"})
        assert 1 < len(tries) < 1000


class TestView:
    def test_the_orm_sees_each_change_at_once_module_by_module(self, migrate: Callable[[], None]) -> None:
        migrate()
        services.move_module("hot", position=0, changed_by="op")
        services.set_module_enabled("high", is_enabled=False, changed_by="op")
        services.change_config(changed_by="op", modules=[{"id": "hot", "props": {"limit": 5}}])
        rows = list(PanelModule.objects.values("id", "name", "is_enabled", "order", "props"))
        config = selectors.read_config()
        assert [row["id"] for row in rows] == ids(config)
        assert rows[0] == {
            "id": "hot",
            "name": "热销Top行业",
            "is_enabled": True,
            "order": 0,
            "props": {"limit": 5},
        }
        assert PanelModule.objects.get(pk="high").is_enabled is False
        assert PanelModule.objects.filter(is_enabled=True).count() == 3
        assert PanelLayout.objects.get(pk="default").version == 4

    def test_it_cannot_be_written(self, migrate: Callable[[], None]) -> None:
        migrate()
        module = PanelModule.objects.get(pk="hot")
        module.name = "past the services"
        with pytest.raises(DatabaseError):
            module.save()
        with pytest.raises(DatabaseError):
            PanelModule.objects.filter(pk="hot").update(order=9)
        assert selectors.read_config() == DEFAULT_CONFIG
