"""`manage.py import_panel_config`: the panel configuration of the former program."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from rest_framework.test import APIClient

from apps.core.storage.mongo import named_collection
from apps.panels.selectors import read_config
from tests import former
from tests.mengla.commands.support import Ended, run
from tests.panels.support import CONFIG, DEFAULTS, data_of

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]


def load(*arguments: str) -> Ended:
    return run("import_panel_config", *arguments)


@pytest.fixture
def given(tmp_path: Path) -> Any:
    """Write a file, and return its name."""

    def write(content: Any) -> str:
        path = tmp_path / "panel config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_the_configuration_of_the_former_program_is_served_equal(reader: APIClient) -> None:
    wanted = json.loads(former.PANEL_CONFIG.read_text())
    ended = load(str(former.PANEL_CONFIG))
    assert ended.code == 0
    assert ended.out.startswith("Panel configuration: high.name=蓝海精选")
    assert {**data_of(reader.get(CONFIG)), "version": ...} == {**wanted, "version": ...}
    again = load(str(former.PANEL_CONFIG), "--json")
    assert (again.code, again.result["changes"], again.result["version"]) == (0, [], 2)


def test_a_dry_run_shows_the_same_and_changes_nothing(reader: APIClient) -> None:
    ended = load(str(former.PANEL_CONFIG), "--dry-run")
    assert ended.code == 0
    assert ended.out.startswith("Dry run, nothing changed. Panel configuration: high.name=蓝海精选")
    assert data_of(reader.get(CONFIG)) == DEFAULTS


def test_a_mongodb_collection_and_standard_input(reader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    named_collection("former_panels").insert_many(
        [{"x": 1}, {"_id": 1, "layout": {"defaultPeriod": "update"}}]
    )
    assert load("--collection", "former_panels").code == 0
    assert data_of(reader.get(CONFIG))["layout"]["defaultPeriod"] == "update"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"layout": {"defaultPeriod": "year"}}')))
    assert load("-").code == 0
    assert data_of(reader.get(CONFIG))["layout"]["defaultPeriod"] == "year"


def test_what_this_product_does_not_have_is_left_out_and_listed(given: Any) -> None:
    ended = load(
        given(
            {
                "modules": [
                    {"id": "chance", "order": 7, "colour": "red"},
                    {"id": "new\x1b[31m", "name": "x"},
                    {"id": "hot", "order": 7, "enabled": False},
                ],
                "layout": {"theme": "dark"},
                "look\x1b": {},
            }
        )
    )
    assert ended.code == 3
    assert [line for line in ended.out.splitlines() if "left out" in line] == [
        "  left out: modules.0.colour",
        "  left out: modules.1: new\\x1b[31m",
        "  left out: layout.theme",
        "  left out: look\\x1b",
    ]
    # Both had the same order, and the others were not named.
    assert [one.id for one in read_config().modules] == ["chance", "hot", "overview", "high"]


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a panel configuration"),
        ("{}", "not a panel configuration"),
        ({"modules": {}}, "not a panel configuration"),
        ({"layout": []}, "not a panel configuration"),
        ({"modules": ["hot"]}, "modules.0: Must be a JSON object."),
        ({"modules": [{"id": "hot", "enabled": 1}]}, "modules.0.enabled: Has the wrong type."),
        ({"modules": [{"id": "hot", "order": True}]}, "modules.0.order: Has the wrong type."),
        ({"modules": [{"id": "hot", "order": "1"}]}, "modules.0.order: Has the wrong type."),
        ({"modules": [{"id": "hot", "name": None}]}, "modules.0.name: Has the wrong type."),
        ({"modules": [{"id": "hot", "name": "x" * 51}]}, "Must have 1 to 50 characters."),
        ({"modules": [{"id": "hot"}, {"id": "hot"}]}, "This module is listed twice."),
        ({"modules": [{"id": "hot", "props": {"$x": 1}}]}, "plain JSON values only"),
        ({"modules": [{"id": ["hot"]}, {"id": "hot", "props": 1}]}, "modules.1.props: Has the wrong type."),
        ({"layout": {"defaultPeriod": "week"}}, "layout.defaultPeriod: Must be one of"),
        ({"layout": {"defaultPeriod": 1}}, "layout.defaultPeriod: Has the wrong type."),
        ('{"layout": {}, "layout": {}}', "layout: Must not be given more than once."),
        ('{"modules": [{"id": "hot", "\\u0069d": "high"}]}', "modules[0].id: Must not be given more"),
        ('{"layout": {}, "a\\u001b": 1, "a\\u001b": 2}', "a\\x1b: Must not be given more than once."),
        ('{"layout": {}, "x": NaN}', "not valid JSON"),
        ('{"layout": {}, "x": ' + "[" * 40 + "]" * 40 + "}", "nested too deeply"),
        ('{"layout": {}, "x": "' + "x" * 1_000_000 + '"}', "Is too large."),
    ],
)
def test_an_invalid_file_changes_nothing(given: Any, content: Any, reported: str) -> None:
    before = read_config()
    ended = load(given(content))
    assert (ended.code, ended.out) == (2, "")
    assert reported in ended.err
    assert "Traceback" not in ended.err
    assert read_config() == before


@pytest.mark.parametrize(
    "arguments",
    [
        *((), ("/no/such/file",), ("/",), ("\x00",), ("--collection", "nothing")),
        *(("--collection", name) for name in ("", "a\x00", ".x", "x.", "a..b", "a$b", "x" * 121, "名" * 100)),
    ],
)
def test_bad_arguments(arguments: tuple[str, ...]) -> None:
    ended = load(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_unknown_fields_alone_are_listed(given: Any) -> None:
    ended = load(given({"modules": [], "layout": {}, "theme": "dark"}), "--json")
    assert (ended.code, ended.result["left_out"], ended.result["changes"]) == (3, ["theme"], [])


def test_a_file_in_another_encoding_of_unicode(given: Any) -> None:
    name = given("")
    Path(name).write_text('{"layout": {"defaultPeriod": "year"}}', encoding="utf-16")
    assert load(name).code == 0
    assert read_config().layout.default_period == "year"


def test_a_collection_with_values_that_python_does_not_have() -> None:
    stored = {
        "_id": DatetimeMS(2**60),
        "updated_at": DatetimeMS(2**60),
        "modules": [{"id": "hot", "order": 0.0, "name": "hot-XX"}, {"id": "high", "order": 1.0}],
        "note": DatetimeMS(2**60),
    }
    raw = bson.encode(stored).replace(b"hot-XX", b"hot-\xff\xfe")
    named_collection("odd_panels").insert_one(RawBSONDocument(raw))
    ended = load("--collection", "odd_panels", "--json")
    assert (ended.code, ended.result["left_out"]) == (3, ["note"])
    assert next((one.id, one.name) for one in read_config().modules) == ("hot", "hot-\ufffd\ufffd")
