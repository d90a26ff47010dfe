"""The admin while MongoDB is down, replaced by a closed port: a short page, soon."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.programs import run_python

pytestmark = pytest.mark.slow

CLOSED = "127.0.0.1:1"
ASK = """
import json, sys, django
django.setup()
from django.test import Client
client = Client(SERVER_NAME="localhost", HTTP_ACCEPT_LANGUAGE=sys.argv[1])
client.cookies["sessionid"] = "a" * 32
answers = [client.get(path) for path in sys.argv[2:]]
shown = [[one.status_code, one.headers.get("Retry-After"), one.content.decode()] for one in answers]
print(json.dumps(shown))
"""


def ask(*paths: str, language: str = "en", **variables: str) -> list[Any]:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"} | variables
    done = run_python("-c", ASK, language, *paths, env=environment)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("debug", ["0", "1"])
def test_without_mongodb_every_page_is_a_short_503(debug: str) -> None:
    paths = ("/admin/", "/admin/mengla/record/", "/admin/login/")
    answers = ask(*paths, MONGO_URI=f"mongodb://{CLOSED}/?replicaSet=rs0", DEBUG=debug)
    for status, retry_after, page in answers[:2]:
        assert status == 503
        assert int(retry_after) > 0
        assert "The database does not respond" in page
        assert "Traceback" not in page
        assert "ServerSelection" not in page
