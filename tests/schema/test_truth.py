"""The document says what validation accepts and what responses hold: schemathesis finds nothing else.

To look longer, and at other requests each time:

    SCHEMATHESIS_EXAMPLES=200 SCHEMATHESIS_SEED=7 bin/test -n 0 -s tests/schema
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict

import apps.mengla.views  # noqa: F401 - with the limit of waiting that its schema tells
from apps.auth import services
from config.wsgi import application
from tests.conftest import bearer_client
from tests.described import document, validator_of
from tests.schema.beyond import REFUSALS, excuse, kind_of
from tests.schema.campaign import PHASES, Campaign
from tests.schema.world import fill_world

# As those of hypothesis they take long, so they begin early.
pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis, pytest.mark.hypothesis]
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "0"))
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "16"))
_PASSWORD = "correct horse battery staple"
# The cases at each bound of each value are the same for all callers who are let in.
_WITHOUT_BOUNDS = tuple(phase for phase in PHASES if phase != "coverage")


@pytest.fixture
def _world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored data, and no waiting for collections, which nobody answers."""
    monkeypatch.setattr("apps.mengla.reading.read.MAX_WAIT_SECONDS", 0)
    fill_world()


@pytest.fixture
def chief_token() -> str:
    """The login token of a superuser: no address revokes it."""
    User.objects.create_superuser("chief", password=_PASSWORD)
    return services.log_in(username="chief", password=_PASSWORD, address="127.0.0.1").token


def search(token: str | None, *, examples: int, phases: tuple[str, ...] = PHASES, **options: Any) -> None:
    """Send the requests of one caller."""
    campaign = Campaign(
        document=document(),
        application=application,
        token=token,
        examples=EXAMPLES or examples,
        seed=SEED,
        is_repeatable=not EXAMPLES,
        phases=PHASES if EXAMPLES else phases,
        **options,
    )
    found = campaign.run(excuse)
    sys.stdout.write(f"\n{found.requests}\n{found.statuses}\n{found.excused}\n")
    assert not found.failures, found.text()
    assert sum(found.requests.values()) >= 50


@pytest.mark.usefixtures("_world")
def test_an_admin_finds_nothing_undescribed(chief_token: str) -> None:
    search(chief_token, examples=2)


@pytest.mark.usefixtures("_world")
def test_a_reader_finds_nothing_undescribed(reader_token: str) -> None:
    search(reader_token, examples=1, phases=_WITHOUT_BOUNDS)


@pytest.mark.usefixtures("_world")
def test_a_caller_without_a_token_finds_nothing_undescribed() -> None:
    search(None, examples=1, phases=_WITHOUT_BOUNDS)


# --- What no schema can say -------------------------------------------------------------------------


@pytest.mark.usefixtures("_world")
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_that_no_schema_can_say(name: str, chief_token: str) -> None:
    one = REFUSALS[name]
    operation = document()["paths"][one.path][one.method.lower()]
    schemas = {parameter["name"]: parameter["schema"] for parameter in operation.get("parameters", ())}
    for parameter, value in QueryDict(one.query).items():
        validator_of(schemas[parameter]).validate(value)
    if one.body is not None:
        validator_of(operation["requestBody"]["content"]["application/json"]["schema"]).validate(one.body)
    client = bearer_client(chief_token)
    path = f"{one.path}?{one.query}" if one.query else one.path
    response = client.generic(one.method, path, json.dumps(one.body or {}), content_type="application/json")
    assert response.status_code == 400
    assert kind_of(one.method, one.body, response.json()) == name
