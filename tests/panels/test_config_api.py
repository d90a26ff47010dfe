"""The panel configuration, as a client sees it: read by readers, changed by admins, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from pymongo.collection import Collection
from rest_framework.test import APIClient

from apps.panels import selectors
from tests.conftest import bearer_client
from tests.panels.support import CONFIG, DEFAULTS, data_of, error_of

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

ALIAS = "/api/panel/config"


def module(response: Any, module_id: str) -> dict[str, Any]:
    [found] = [one for one in data_of(response)["modules"] if one["id"] == module_id]
    return dict(found)


class TestReading:
    @pytest.mark.parametrize("path", [CONFIG, f"{CONFIG}/", ALIAS, f"{ALIAS}/"])
    def test_a_reader_sees_the_defaults(self, reader: APIClient, path: str) -> None:
        assert data_of(reader.get(path)) == DEFAULTS

    @pytest.mark.parametrize("path", [CONFIG, ALIAS])
    def test_reading_needs_a_token_and_readers_change_nothing(
        self, api: APIClient, reader: APIClient, path: str
    ) -> None:
        change = {"layout": {"defaultPeriod": "day"}}
        error_of(api.get(path), 401, "UNAUTHENTICATED")
        error_of(api.put(path, change), 401, "UNAUTHENTICATED")
        error_of(reader.put(path, change), 403, "PERMISSION_DENIED")
        assert data_of(reader.get(path)) == DEFAULTS

    @pytest.mark.parametrize("method", ["post", "patch", "delete"])
    def test_other_methods_are_405(self, admin: APIClient, method: str) -> None:
        error_of(getattr(admin, method)(CONFIG, {}), 405, "METHOD_NOT_ALLOWED")

    def test_what_is_known_is_not_sent_again_until_it_changes(
        self, reader: APIClient, admin: APIClient
    ) -> None:
        tag = reader.get(CONFIG).headers["ETag"]
        again = reader.get(CONFIG, HTTP_IF_NONE_MATCH=tag)
        assert (again.status_code, again.content) == (304, b"")
        data_of(admin.put(CONFIG, {"modules": [{"id": "hot", "enabled": False}]}))
        changed = reader.get(CONFIG, HTTP_IF_NONE_MATCH=tag)
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag

    def test_a_change_costs_one_read_of_one_document(
        self, admin: APIClient, reader: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, Any]] = []
        for name in ("find", "aggregate", "count_documents"):
            real = getattr(Collection, name)

            def noted(self: Any, *args: Any, real: Any = real, **options: Any) -> Any:
                asked.append((self.name, args[0]))
                return real(self, *args, **options)

            monkeypatch.setattr(Collection, name, noted)
        data_of(reader.get(CONFIG))
        data_of(admin.put(CONFIG, {"layout": {"defaultPeriod": "year"}}))
        asked.clear()  # the first requests also looked up whose tokens these are
        for _ in range(2):
            assert data_of(reader.get(CONFIG))["layout"]["defaultPeriod"] == "year"
        assert asked == [("panel_layout", {"_id": "default"})]


class TestChanging:
    def test_a_change_is_seen_by_everybody_at_once(self, admin: APIClient, reader: APIClient) -> None:
        change = {
            "modules": [
                {
                    "id": "chance",
                    "order": 0,
                    "name": " Хиты 📈 ",
                    "props": {"limit": 20, "a": [1.5, None]},
                },
                {"id": "overview", "order": 3, "enabled": False},
            ],
            "layout": {"defaultPeriod": "quarter", "showRankPeriodSelector": False},
        }
        answer = admin.put(CONFIG, change)
        data = data_of(answer)
        assert [one["id"] for one in data["modules"]] == ["chance", "high", "hot", "overview"]
        assert data["modules"][0] == {
            "id": "chance",
            "name": "Хиты 📈",
            "enabled": True,
            "order": 0,
            "props": {"limit": 20, "a": [1.5, None]},
        }
        assert data["modules"][3]["enabled"] is False
        assert data["layout"] == {"defaultPeriod": "quarter", "showRankPeriodSelector": False}
        assert data["version"] == 2
        read = reader.get(ALIAS)
        assert data_of(read) == data
        assert read.headers["ETag"] == answer.headers["ETag"]

    def test_the_period_of_the_former_client_is_stored_and_returned(
        self, admin: APIClient, reader: APIClient
    ) -> None:
        wanted = {"defaultPeriod": "update", "showRankPeriodSelector": False}
        assert data_of(admin.put(CONFIG, {"layout": wanted}))["layout"] == wanted
        assert data_of(reader.get(ALIAS))["layout"] == wanted

    @pytest.mark.parametrize(
        "change",
        [
            {"modules": [{"id": "hot", "enabled": False}]},
            {"layout": {"defaultPeriod": "year"}},
            {"layout": {}},
        ],
        ids=["modules alone", "layout alone", "nothing in both"],
    )
    def test_either_key_will_do_and_the_rest_stays(self, admin: APIClient, change: dict[str, Any]) -> None:
        data = data_of(admin.put(ALIAS, change))
        expected = {**DEFAULTS, "version": 2}
        if change.get("modules"):
            assert module(admin.get(CONFIG), "hot") == {**DEFAULTS["modules"][2], "enabled": False}
            assert (data["layout"], data["version"]) == (expected["layout"], 2)
        elif change["layout"]:
            assert data == {**expected, "layout": {"defaultPeriod": "year", "showRankPeriodSelector": True}}
        else:
            assert data == DEFAULTS

    def test_what_was_read_can_be_written_back_and_is_no_change(
        self, admin: APIClient, written_log: Any
    ) -> None:
        assert data_of(admin.put(CONFIG, data_of(admin.get(CONFIG)))) == DEFAULTS
        assert data_of(admin.get(CONFIG)) == DEFAULTS
        assert not [line for line in written_log() if line["event"] == "panel_config_changed"]

    def test_a_change_is_in_the_audit_log(self, admin: APIClient, written_log: Any) -> None:
        change = {"modules": [{"id": "hot", "enabled": False, "props": {"k": "long"}}]}
        data_of(admin.put(CONFIG, change | {"layout": {"defaultPeriod": "day"}}))
        error_of(admin.put(CONFIG, {"layout": {"defaultPeriod": "decade"}}), 400, "VALIDATION_ERROR")
        lines = [line for line in written_log() if line["event"] == "panel_config_changed"]
        assert len(lines) == 1
        assert lines[0]["changes"] == ["hot.is_enabled=False", "hot.props", "default_period=day"]
        assert (lines[0]["changed_by"], lines[0]["version"]) == ("admin", 2)


TOO_DEEP: Any = 1
for _ in range(20):
    TOO_DEEP = {"a": TOO_DEEP}
BAD_CHANGES: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "non_field_errors"),
    "a list": ([], "non_field_errors"),
    "null": (None, "non_field_errors"),
    "an unknown key": ({"layuot": {}}, "layuot"),
    "a huge unknown key": ({"x" * 100_000: 1}, "x" * 40 + "..."),
    "no modules": ({"modules": [], "layout": {}}, "modules.non_field_errors"),
    "modules as object": ({"modules": {}}, "modules.non_field_errors"),
    "modules as null": ({"modules": None}, "modules"),
    "modules as text": ({"modules": "hot"}, "modules.non_field_errors"),
    "modules of texts": ({"modules": ["hot"]}, "modules.0.non_field_errors"),
    "modules of nulls": ({"modules": [None]}, "modules.0"),
    "too many modules": ({"modules": [{"id": "hot"}] * 5000}, "modules.non_field_errors"),
    "no id": ({"modules": [{"name": "x"}]}, "modules.0.id"),
    "an unknown id": ({"modules": [{"id": "cold"}]}, "modules.0.id"),
    "an id in capitals": ({"modules": [{"id": "HOT"}]}, "modules.0.id"),
    "an id with NUL": ({"modules": [{"id": "hot\0"}]}, "modules.0.id"),
    "an id as number": ({"modules": [{"id": 1}]}, "modules.0.id"),
    "an id as operator": ({"modules": [{"id": {"$ne": ""}}]}, "modules.0.id"),
    "an id twice": ({"modules": [{"id": "hot"}, {"id": "hot"}]}, "modules.1.id"),
    "an unknown field": ({"modules": [{"id": "hot", "enabeld": False}]}, "modules.0.enabeld"),
    "an inner name": ({"modules": [{"id": "hot", "is_enabled": False}]}, "modules.0.is_enabled"),
    "an empty name": ({"modules": [{"id": "hot", "name": "  "}]}, "modules.0.name"),
    "a null name": ({"modules": [{"id": "hot", "name": None}]}, "modules.0.name"),
    "a name as number": ({"modules": [{"id": "hot", "name": 5}]}, "modules.0.name"),
    "a long name": ({"modules": [{"id": "hot", "name": "x" * 51}]}, "modules.0.name"),
    "a huge name": ({"modules": [{"id": "hot", "name": "x" * 500_000}]}, "modules.0.name"),
    "a name with NUL": ({"modules": [{"id": "hot", "name": "a\0b"}]}, "modules.0.name"),
    "a name of two lines": ({"modules": [{"id": "hot", "name": "a\nb"}]}, "modules.0.name"),
    "a reversed name": ({"modules": [{"id": "hot", "name": "a\u202eb"}]}, "modules.0.name"),
    "enabled as text": ({"modules": [{"id": "hot", "enabled": "false"}]}, "modules.0.enabled"),
    "enabled as number": ({"modules": [{"id": "hot", "enabled": 0}]}, "modules.0.enabled"),
    "enabled as null": ({"modules": [{"id": "hot", "enabled": None}]}, "modules.0.enabled"),
    "order as text": ({"modules": [{"id": "hot", "order": "1"}]}, "modules.0.order"),
    "order as boolean": ({"modules": [{"id": "hot", "order": True}]}, "modules.0.order"),
    "order as float": ({"modules": [{"id": "hot", "order": 1.5}]}, "modules.0.order"),
    "a negative order": ({"modules": [{"id": "hot", "order": -1}]}, "modules.0.order"),
    "a huge order": ({"modules": [{"id": "hot", "order": 2**63}]}, "modules.0.order"),
    "an order twice": (
        {"modules": [{"id": "hot", "order": 9}, {"id": "high", "order": 9}]},
        "modules.1.order",
    ),
    "the order of another": ({"modules": [{"id": "hot", "order": 0}]}, "modules.0.order"),
    "props as list": ({"modules": [{"id": "hot", "props": []}]}, "modules.0.props"),
    "props as null": ({"modules": [{"id": "hot", "props": None}]}, "modules.0.props"),
    "props with NUL": ({"modules": [{"id": "hot", "props": {"a": ["\0"]}}]}, "modules.0.props"),
    "a name in props with NUL": ({"modules": [{"id": "hot", "props": {"a\0": 1}}]}, "modules.0.props"),
    "an operator in props": ({"modules": [{"id": "hot", "props": {"$set": 1}}]}, "modules.0.props"),
    "a path in props": ({"modules": [{"id": "hot", "props": {"a.b": 1}}]}, "modules.0.props"),
    "deep props": ({"modules": [{"id": "hot", "props": TOO_DEEP}]}, "modules.0.props"),
    "props a little too deep": (
        {"modules": [{"id": "hot", "props": {"1": {"2": {"3": {"4": {"5": {"6": {}}}}}}}}]},
        "modules.0.props",
    ),
    "huge props": ({"modules": [{"id": "hot", "props": {"a": "x" * 9000}}]}, "modules.0.props"),
    "wide props": (
        {"modules": [{"id": "hot", "props": {str(n): n for n in range(5000)}}]},
        "modules.0.props",
    ),
    "large numbers in props": (
        {"modules": [{"id": "hot", "props": {"n": 2**64 - 1}}]},
        "modules.0.props",
    ),
    "layout as null": ({"layout": None}, "layout"),
    "layout as list": ({"layout": []}, "layout.non_field_errors"),
    "an unknown field of the layout": ({"layout": {"x": 1}}, "layout.x"),
    "an unknown period": ({"layout": {"defaultPeriod": "decade"}}, "layout.defaultPeriod"),
    "a period in capitals": ({"layout": {"defaultPeriod": "MONTH"}}, "layout.defaultPeriod"),
    "no period": ({"layout": {"defaultPeriod": ""}}, "layout.defaultPeriod"),
    "a period as list": ({"layout": {"defaultPeriod": ["month"]}}, "layout.defaultPeriod"),
    "a deep period": ({"layout": {"defaultPeriod": TOO_DEEP}}, "layout.defaultPeriod"),
    "a selector as text": ({"layout": {"showRankPeriodSelector": "yes"}}, "layout.showRankPeriodSelector"),
    "a version as text": ({"layout": {}, "version": "1"}, "version"),
    "a version of nothing": ({"layout": {}, "version": 0}, "version"),
    "a version as null": ({"layout": {}, "version": None}, "version"),
    "a version alone": ({"version": 1}, "non_field_errors"),
}


class TestRefusing:
    @pytest.mark.parametrize("name", BAD_CHANGES)
    def test_a_bad_change_changes_nothing(self, admin: APIClient, name: str) -> None:
        change, field = BAD_CHANGES[name]
        body = error_of(admin.put(CONFIG, change), 400, "VALIDATION_ERROR")
        assert field in body["fields"], body
        assert data_of(admin.get(CONFIG)) == DEFAULTS

    def test_one_bad_field_refuses_all_of_the_change(self, admin: APIClient) -> None:
        change = {
            "modules": [{"id": "hot", "enabled": False}, {"id": "cold"}, {"id": "high", "name": "\0"}],
            "layout": {"defaultPeriod": "day"},
        }
        error_of(admin.put(CONFIG, change), 400, "VALIDATION_ERROR")
        change["modules"] = [{"id": "hot", "enabled": False}, {"id": "cold"}, {"id": "high", "order": 1000}]
        body = error_of(admin.put(CONFIG, change), 400, "VALIDATION_ERROR")
        assert set(body["fields"]) == {"modules.1.id", "modules.2.order"}, "all problems are reported at once"
        assert data_of(admin.get(CONFIG)) == DEFAULTS

    @pytest.mark.parametrize(
        "body",
        [
            b'{"modules": [{"id": "hot", "name": "\\ud800"}]}',
            b'{"modules": [{"id": "hot", "props": {"a": "\\udfff"}}]}',
            b'{"modules": [{"id": "hot", "props": {"a": NaN}}]}',
            b'{"modules": [{"id": "hot", "order": 1e999}]}',
            '{"modules": [{"id": "hot", "order": ٣}]}'.encode(),
            b'{"layout": ' + b"[" * 100_000,
        ],
        ids=["a lone surrogate", "one in props", "not a number", "infinite", "digits of others", "deep"],
    )
    def test_what_is_no_json_of_ours(self, admin: APIClient, body: bytes) -> None:
        response = admin.generic("PUT", CONFIG, body, content_type="application/json")
        error_of(response, 400, "VALIDATION_ERROR")
        assert data_of(admin.get(CONFIG)) == DEFAULTS

    def test_a_body_over_the_limit_is_413(self, admin: APIClient) -> None:
        body = b'{"layout": {"defaultPeriod": "' + b"x" * 1_100_000 + b'"}}'
        response = admin.generic("PUT", CONFIG, body, content_type="application/json")
        error_of(response, 413, "PAYLOAD_TOO_LARGE")


class TestVersions:
    def test_a_change_of_an_older_version_is_refused(self, admin: APIClient) -> None:
        first = data_of(admin.put(CONFIG, {"layout": {"defaultPeriod": "day"}, "version": 1}))
        assert first["version"] == 2
        body = error_of(
            admin.put(CONFIG, {"layout": {"defaultPeriod": "year"}, "version": 1}), 409, "CONFLICT"
        )
        assert body["detail"] == "version=2"
        assert data_of(admin.get(CONFIG)) == first
        data = data_of(admin.put(CONFIG, {"layout": {"defaultPeriod": "year"}, "version": 2}))
        assert (data["version"], data["layout"]["defaultPeriod"]) == (3, "year")

    def test_a_version_that_does_not_exist_yet_is_refused(self, admin: APIClient) -> None:
        for version in (2, 2**62):
            error_of(admin.put(CONFIG, {"layout": {}, "version": version}), 409, "CONFLICT")

    def test_a_tag_says_the_same_as_the_version(self, admin: APIClient) -> None:
        change = {"layout": {"defaultPeriod": "day"}}
        tag = admin.get(CONFIG).headers["ETag"]
        data_of(admin.put(CONFIG, change, HTTP_IF_MATCH=f'"other", {tag}'))
        body = error_of(admin.put(CONFIG, change, HTTP_IF_MATCH=tag), 409, "CONFLICT")
        assert body["detail"] == "version=2"
        new_tag = admin.get(ALIAS).headers["ETag"]
        strong = new_tag.removeprefix("W/")
        again = {"layout": {"defaultPeriod": "year"}}
        assert data_of(admin.put(ALIAS, again, HTTP_IF_MATCH=strong))["version"] == 3
        assert data_of(admin.put(ALIAS, change, HTTP_IF_MATCH="*"))["version"] == 4

    @pytest.mark.parametrize("tag", ["", "nonsense", '"', 'W/"' + "x" * 5000, "\xff", "1"])
    def test_a_tag_that_is_none_matches_nothing(self, admin: APIClient, tag: str) -> None:
        error_of(admin.put(CONFIG, {"layout": {}}, HTTP_IF_MATCH=tag), 409, "CONFLICT")
        assert data_of(admin.get(CONFIG)) == DEFAULTS

    def test_tag_and_version_must_both_hold(self, admin: APIClient) -> None:
        tag = admin.get(CONFIG).headers["ETag"]
        error_of(admin.put(CONFIG, {"layout": {}, "version": 7}, HTTP_IF_MATCH=tag), 409, "CONFLICT")
        error_of(admin.put(CONFIG, {"layout": {}, "version": 7}, HTTP_IF_MATCH="*"), 409, "CONFLICT")
        change = {"layout": {"defaultPeriod": "day"}, "version": 1}
        assert data_of(admin.put(CONFIG, change, HTTP_IF_MATCH=tag))["version"] == 2

    def test_browsers_may_send_the_tag(self, api: APIClient) -> None:
        response = api.options(
            CONFIG,
            HTTP_ORIGIN="http://localhost:5173",
            HTTP_ACCESS_CONTROL_REQUEST_METHOD="PUT",
            HTTP_ACCESS_CONTROL_REQUEST_HEADERS="if-match, content-type, authorization",
        )
        assert "if-match" in response.headers["Access-Control-Allow-Headers"]
        assert "PUT" in response.headers["Access-Control-Allow-Methods"]


class TestManyAtOnce:
    def test_of_many_changes_of_one_version_exactly_one_wins(self, admin_token: str) -> None:
        count = 8
        for version in range(1, 6):
            together = Barrier(count)

            def change(number: int, version: int = version, together: Barrier = together) -> int:
                client = bearer_client(admin_token)
                body = {"modules": [{"id": "hot", "name": f"{version}-{number}"}], "version": version}
                together.wait()
                return int(client.put(CONFIG, body).status_code)

            with ThreadPoolExecutor(count) as pool:
                statuses = list(pool.map(change, range(count)))
            assert sorted(statuses) == [200] + [409] * (count - 1)
            winner = f"{version}-{statuses.index(200)}"
            config = selectors.read_config()
            assert config.version == version + 1
            assert next(one.name for one in config.modules if one.id == "hot") == winner

    def test_without_a_version_no_change_is_refused_and_none_is_lost(self, admin_token: str) -> None:
        count = 8
        together = Barrier(count)

        def change(number: int) -> int:
            client = bearer_client(admin_token)
            module_id = ("overview", "high", "hot", "chance")[number % 4]
            field = {"name": f"name {number}"} if number < 4 else {"enabled": False}
            together.wait()
            return int(client.put(CONFIG, {"modules": [{"id": module_id, **field}]}).status_code)

        with ThreadPoolExecutor(count) as pool:
            assert list(pool.map(change, range(count))) == [200] * count
        config = selectors.read_config()
        assert config.version == 1 + count
        assert [one.name for one in config.modules] == [f"name {number}" for number in range(4)]
        assert not any(one.is_enabled for one in config.modules)

    def test_no_reader_sees_half_of_a_change(self, admin_token: str, reader_token: str) -> None:
        # Every change writes its number in each place: a reader must find the same number in all of them.
        ended = Event()
        ids = ("overview", "high", "hot", "chance")
        seen: set[str] = set()

        def read() -> None:
            client = bearer_client(reader_token)
            while not ended.is_set():
                data = data_of(client.get(CONFIG))
                if data["version"] == 1:
                    continue
                marks = {f"{one['name']}/{one['props']['n']}" for one in data["modules"]}
                assert len(marks) == 1, marks
                [mark] = marks
                assert [one["order"] for one in data["modules"]] == list(range(4))
                assert [one["id"] for one in data["modules"]][int(mark[0]) % 4] == "overview"
                seen.add(mark)

        def write() -> None:
            client = bearer_client(admin_token)
            for number in range(40):
                modules = [
                    {
                        "id": module_id,
                        "name": str(number % 10),
                        "order": (place + number % 10) % 4,
                        "props": {"n": number},
                    }
                    for place, module_id in enumerate(ids)
                ]
                data_of(client.put(CONFIG, {"modules": modules}))

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                pool.submit(write).result()
            finally:
                ended.set()
            for one in readers:
                one.result()
        assert len(seen) > 1
