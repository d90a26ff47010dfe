from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from django.db import connection
from django.http import HttpResponse
from rest_framework.test import APIClient

from apps.categories import entries, selectors
from apps.core.caching.tiers import get_cache
from apps.core.storage.outages import mongo_outage
from tests.factories.categories import (
    SAMPLE_PATH,
    make_full_size_tree,
    make_node,
    make_tree,
    store_tree,
)
from tests.programs import ROOT
from tests.silence import no_mongo

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

TREE = "/api/categories"
ODD_IDS = [
    *("4299", "0", "-4200", "04200", "4200.0", "4200%20", "4200%0A", "%00", "9" * 3000),
    *("%D9%A4%D9%A2%D9%A0%D9%A0", "%F0%9F%98%80", "null", "tree", "$ne", "%7B%22$gt%22:0%7D"),
]


def get_within_a_second(
    client: APIClient, path: str, is_wanted: Callable[[HttpResponse], bool]
) -> HttpResponse:
    """Ask again until the answer is the wanted one; a reader gets it within a second of the change."""
    changed_at = time.monotonic()
    while True:
        asked_at = time.monotonic()
        response = client.get(path)
        if is_wanted(response) or asked_at - changed_at > 1.0:
            return response
        time.sleep(0.02)


@pytest.fixture
def database_down(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Answers are outdated at once, and the database cannot be asked for new ones."""
    monkeypatch.setattr(selectors, "build_tree", no_mongo)
    monkeypatch.setattr(selectors, "get_category", no_mongo)
    return monkeypatch


def test_the_tree_comes_as_imported(client: APIClient) -> None:
    tree = store_tree(make_full_size_tree())
    response = client.get(TREE)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert (body["success"], body["message"]) == (True, "ok")
    assert json.dumps(body["data"]) == json.dumps(tree)
    assert list(body["data"][0])[-1] == "children"


def test_without_an_import_the_tree_is_empty(client: APIClient) -> None:
    assert json.loads(client.get(TREE).content)["data"] == []


@pytest.mark.parametrize("accepted", ["gzip", "deflate, GZIP;q=0.5", "br, gzip ;q=1.0, *;q=0"])
def test_a_client_that_reads_gzip_gets_it(client: APIClient, accepted: str) -> None:
    store_tree(make_full_size_tree())
    plain = client.get(TREE)
    packed = client.get(TREE, headers={"Accept-Encoding": accepted})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 4
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip; q=0.000", "xgzip", "br;gzip"])
def test_a_client_that_does_not_read_gzip_gets_plain_json(client: APIClient, accepted: str) -> None:
    store_tree()
    response = client.get(TREE, headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in response.headers
    assert json.loads(response.content)["success"] is True


@pytest.mark.parametrize("form", ["{}", '"other", {}', "*", "{strong}"])
@pytest.mark.parametrize("path", [TREE, f"{TREE}/4200"])
def test_a_client_that_has_the_answer_gets_304(client: APIClient, path: str, form: str) -> None:
    store_tree()
    etag = client.get(path).headers["ETag"]
    known = form.format(etag, strong=etag.removeprefix("W/"))
    response = client.get(path, headers={"If-None-Match": known, "Accept-Encoding": "gzip"})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["ETag"] == etag


@pytest.mark.parametrize("known", ['"other"', "garbage", "", 'W/"', "é"])
def test_a_client_that_has_another_answer_gets_this_one(client: APIClient, known: str) -> None:
    store_tree()
    assert client.get(TREE, headers={"If-None-Match": known}).status_code == 200


def test_a_changed_tree_has_another_etag(client: APIClient) -> None:
    tree = store_tree()
    etag = client.get(TREE).headers["ETag"]
    store_tree(tree)
    assert client.get(TREE).headers["ETag"] == etag
    tree[0]["monthGmv"] += 1
    store_tree(tree)
    response = get_within_a_second(client, TREE, lambda answer: answer.headers["ETag"] != etag)
    assert json.loads(response.content)["data"] == tree
    assert client.get(TREE, headers={"If-None-Match": etag}).status_code == 200


def test_a_hit_asks_the_database_for_nothing(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree()
    first = client.get(TREE)
    monkeypatch.setattr(selectors, "build_tree", lambda: pytest.fail("the answer was there already"))
    assert client.get(TREE).content == first.content
    get_cache().clear_l1()  # another process: it finds the bytes in Redis
    assert client.get(TREE).content == first.content


def test_one_category_comes_with_its_children(client: APIClient) -> None:
    tree = store_tree()
    for cat_id, expected in (("4300", tree[1]), ("4302", {**tree[1]["children"][1], "children": []})):
        response = client.get(f"{TREE}/{cat_id}")
        assert response.status_code == 200
        assert json.dumps(json.loads(response.content)["data"]) == json.dumps(expected)


@pytest.mark.parametrize(
    "cat_id",
    [
        "4299",
        "0",
        "-4200",
        "04200",
        "4200.0",
        "9" * 3000,
        "%D9%A4%D9%A2%D9%A0%D9%A0",
        "%00",
        "4200%0A",
        "%F0%9F%98%80",
        "null",
        "tree",
        "$ne",
        "%7B%22$gt%22:0%7D",
        "4200%20",
    ],
)
def test_unknown_and_odd_ids_are_404(client: APIClient, cat_id: str) -> None:
    store_tree()
    client.get(TREE)
    response = client.get(f"{TREE}/{cat_id}")
    assert response.status_code == 404
    body = json.loads(response.content)
    assert (body["success"], body["error"]) == (False, "NOT_FOUND")


def test_a_removed_category_is_404(client: APIClient) -> None:
    store_tree()
    assert client.get(f"{TREE}/4200").status_code == 200
    store_tree(make_tree())
    response = get_within_a_second(client, f"{TREE}/4200", lambda answer: answer.status_code != 200)
    assert response.status_code == 404


@pytest.mark.parametrize("path", [TREE, f"{TREE}/4200"])
def test_without_a_token_it_is_401(path: str) -> None:
    store_tree()
    response = APIClient().get(path)
    assert response.status_code == 401
    assert json.loads(response.content)["error"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("path", [TREE, f"{TREE}/4200"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(client: APIClient, path: str, method: str) -> None:
    response = getattr(client, method)(path, {}, format="json")
    assert response.status_code == 405
    assert json.loads(response.content)["error"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", [TREE, f"{TREE}/4200"])
def test_the_last_answer_is_served_while_the_database_is_down(
    client: APIClient, path: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    store_tree()
    monkeypatch.setattr(entries, "FRESH_SECONDS", 0)
    first = client.get(path)
    request.getfixturevalue("database_down")
    assert not mongo_outage.is_known
    assert client.get(path).content == first.content
    assert mongo_outage.is_known
    for read in ("build_tree", "get_category"):
        monkeypatch.setattr(selectors, read, lambda *_: pytest.fail("it is known to be down"))
    assert client.get(path).content == first.content


def test_with_nothing_to_serve_a_database_that_is_down_is_503(
    client: APIClient, database_down: pytest.MonkeyPatch
) -> None:
    response = client.get(TREE)
    assert response.status_code == 503
    assert json.loads(response.content)["error"] == "DEPENDENCY_UNAVAILABLE"


def test_a_defect_is_not_hidden_behind_an_old_answer(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_tree()
    monkeypatch.setattr(entries, "FRESH_SECONDS", 0)
    client.get(TREE)

    def crash() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(selectors, "build_tree", crash)
    client.raise_request_exception = False
    assert client.get(TREE).status_code == 500


def test_an_import_whose_announcement_was_lost_is_seen_after_the_freshness(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_tree()
    monkeypatch.setattr(entries, "FRESH_SECONDS", 0)
    client.get(TREE)
    monkeypatch.setattr("apps.categories.services.clear_all", lambda: True)
    tree = store_tree([make_node(9)])
    assert json.loads(client.get(TREE).content)["data"] == [{**tree[0], "children": []}]


@pytest.mark.slow
def test_an_import_in_another_process_is_seen_within_a_second(client: APIClient) -> None:
    store_tree(make_tree())
    before = client.get(TREE).content
    environment = {**os.environ, "MONGO_DB": str(connection.settings_dict["NAME"])}
    subprocess.run(
        [sys.executable, "manage.py", "import_categories", str(SAMPLE_PATH)],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=60,
    )
    response = get_within_a_second(client, TREE, lambda answer: answer.content != before)
    assert json.loads(response.content)["data"] == json.loads(SAMPLE_PATH.read_bytes())
