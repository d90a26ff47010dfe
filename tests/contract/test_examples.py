"""The examples of the OpenAPI document work when sent, and a category may be sent in both of its forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from apps.auth import services as tokens
from apps.mengla.upstream.signature import sign
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import Trigger
from tests.described import document, resolved, validator_of
from tests.factories.categories import load_sample, store_tree
from tests.mengla.support import enqueue, hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

JSON = "application/json"
CAT_ID = {"$ref": "#/components/schemas/CatId"}
# What only a response can say: the place in a list, and the version of what was read.
WITHOUT_EXAMPLE = {"cursor", "If-Match", "If-None-Match", "X-Signature-256"}
# They need a failed collection, and a channel for notices; their own tests have both.
CONFLICTS = ("/retry", "/alerts/test")
OBJECT_ID = "683d3a5f9b1e8a5d2c4f7e10"
Example = tuple[str, str, dict[str, Any], Any]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def parameters_of(operation: dict[str, Any], place: str) -> list[dict[str, Any]]:
    return [one for one in operation.get("parameters", ()) if one["in"] == place]


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    return found


def examples() -> Iterator[Example]:
    """Each example: the method, the path, the parameters of the URL, and the body."""
    for method, path, operation in operations():
        address = path
        for one in parameters_of(operation, "path"):
            address = address.replace(f"{{{one['name']}}}", str(one["example"]))
        bodies = [example["value"] for example in body_of(operation).get("examples", {}).values()]
        queries: dict[str, dict[str, Any]] = {}
        for one in parameters_of(operation, "query"):
            for title, example in one.get("examples", {}).items():
                queries.setdefault(title, {})[one["name"]] = example["value"]
        for body in bodies:
            yield method, address, {}, body
        for query in queries.values():
            yield method, address, query, None
        if not bodies and not queries:
            yield method, address, {}, None


@pytest.fixture
def world(admin: APIClient) -> APIClient:
    """An admin, the sample tree, and the user of the login's example."""
    store_tree(load_sample())
    User.objects.create_user("admin", password="correct horse battery staple", is_staff=True)
    return admin


def existing(path: str) -> str:
    """The path with the id of an object that exists, in the place of that of the example."""
    if OBJECT_ID not in path:
        return path
    if "/tokens/" in path:
        return path.replace(OBJECT_ID, tokens.create_token(label="old one", created_by="tests").id)
    if "/collections/" in path:
        return path.replace(OBJECT_ID, str(enqueue(hot(cat_id="4201"))))
    started = runs.start_run(
        task_id="backfill", name="", trigger=Trigger.API, requested_by="tests", parameters={}
    )
    if not path.endswith("/cancel"):
        runs.cancel_run(run_id=started.run_id, cancelled_by="tests")
    return path.replace(OBJECT_ID, started.run_id)


def send(client: APIClient, method: str, path: str, query: dict[str, Any], body: Any) -> Any:
    """Send an example as a client does."""
    sent = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in query.items()}
    text = b"" if body is None else json.dumps(body).encode()
    return client.generic(
        method.upper(),
        f"{path}?{urlencode(sent)}" if sent else path,
        text,
        content_type=JSON,
        HTTP_X_SIGNATURE_256=sign(text, settings.WEBHOOK_SECRET),
    )


@pytest.mark.parametrize("example", list(examples()), ids=lambda one: f"{one[0]} {one[1]} {one[2] or one[3]}")
def test_an_example_works_when_it_is_sent(example: Example, world: APIClient) -> None:
    method, path, query, body = example
    response = send(world, method, existing(path), query, body)
    expected = (409,) if path.endswith(CONFLICTS) else (200, 201, 202)
    assert response.status_code in expected, response.content
    response.close()  # one that is streamed has a file open


def test_every_parameter_and_body_has_an_example() -> None:
    missing = [
        f"{method} {path} {one['name']}"
        for method, path, operation in operations()
        for one in operation.get("parameters", ())
        if not {"example", "examples"} & one.keys() and one["name"] not in WITHOUT_EXAMPLE
    ]
    missing += [
        f"{method} {path}"
        for method, path, operation in operations()
        if (body := body_of(operation)) and not body.get("examples")
    ]
    assert missing == []


def test_the_examples_are_as_their_schemas_say() -> None:
    for method, path, operation in operations():
        answers = [resolved(answer) for answer in operation["responses"].values()]
        media = [one["content"][JSON] for one in answers if JSON in one.get("content", {})]
        places = [
            *parameters_of(operation, "query"),
            *([body] if (body := body_of(operation)) else []),
            *media,
        ]
        for place in places:
            values = [one["value"] for one in place.get("examples", {}).values()]
            values += [place["example"]] if "example" in place else []
            for value in values:
                validator_of(place["schema"]).validate(value), f"{method} {path}"


# --- Categories -------------------------------------------------------------------------------------


def is_cat_id(schema: Any) -> bool:
    return CAT_ID in (schema, *schema.get("allOf", ()), *schema.get("oneOf", ()))


def bodies_with_a_category() -> Iterator[tuple[str, str, str]]:
    """The method, the address and the name of the field, of each body that takes a category or several."""
    for method, path, operation in operations():
        for name, schema in resolved(body_of(operation).get("schema", {})).get("properties", {}).items():
            if is_cat_id(schema) or is_cat_id(schema.get("items", {})):
                yield method, path, name


def names_of_categories(value: Any) -> set[str]:
    """Names in a schema that end like those of category ids."""
    if isinstance(value, list):
        return set().union(*map(names_of_categories, value))
    if not isinstance(value, dict):
        return set()
    fields = value.get("properties", {})
    named = {name for name, schema in fields.items() if "cat" in name.lower() and "Id" in name}
    typed = {name for name in named if is_cat_id(fields[name]) or is_cat_id(fields[name].get("items", {}))}
    return (named - typed).union(*map(names_of_categories, value.values()))


def test_every_category_id_has_the_same_type() -> None:
    assert names_of_categories(document()) == set()
    for method, path, operation in operations():
        for one in operation.get("parameters", ()):
            if one["name"].lower().endswith("catid"):
                assert is_cat_id(one["schema"]), f"{method} {path}"


def test_there_are_bodies_with_a_category() -> None:
    assert len(list(bodies_with_a_category())) >= 11


@pytest.mark.parametrize(("method", "path", "name"), list(bodies_with_a_category()))
def test_a_body_takes_a_category_as_a_number_and_as_a_text(
    method: str, path: str, name: str, world: APIClient
) -> None:
    first = next(iter(body_of(document()["paths"][path][method])["examples"].values()))["value"]

    def answer(cat_id: Any) -> Any:
        return send(world, method, path, {}, first | {name: [cat_id] if name.endswith("s") else cat_id})

    assert list(answer(9999).json()["fields"]) == [name]
    statuses = [answer(cat_id).status_code for cat_id in (4201, "4201")]
    # A run that is under way already is a conflict.
    assert statuses in ([200, 200], [202, 202], [202, 409])


@pytest.mark.parametrize("cat_id", [4200, "4200"])
def test_a_category_that_was_returned_can_be_sent_back(cat_id: Any, world: APIClient) -> None:
    tree = world.get("/api/categories").json()["data"]
    assert tree[0]["catId"] == 4200
    assert world.get(f"/api/categories/{cat_id}").json()["data"]["catId"] == 4200
    assert world.get("/api/mengla", {"primaryCatId": cat_id, "timest": "2025-06"}).status_code == 202
    assert world.post("/api/mengla/hot", {"catId": cat_id, "timest": "2025-06"}).status_code == 202
