"""docs/moving.md, step by step: every command of the page, on what the former program leaves behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pymongo
import pytest

from apps.launcher.processes import ManagedProcess
from tests import former
from tests.http import NO_CERTIFICATES
from tests.integration.databases import SharedServers
from tests.parallel import own_port
from tests.programs import ROOT, run_python

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PAGE = (ROOT / "docs" / "moving.md").read_text("utf-8")
# The exit status of each command of the page, in its order.
COMMANDS = {
    "python manage.py check": 0,
    "python manage.py import_reference_data --in-place --dry-run": 0,
    "python manage.py import_reference_data --in-place": 0,
    "python manage.py import_panel_config panel_config.json": 0,
    "python manage.py list_former_tokens < tokens.txt": 0,
    "python manage.py ensure_admin": 0,
    "python manage.py import_categories category.json": 0,
    "python manage.py import_reference_data --drop-former": 1,  # not confirmed
}
SECRET, PASSWORD = "the former program's own signing secret", "correct horse"


def commands_of_page() -> list[str]:
    return re.findall(r"^ *\$ (python manage\.py .*)$", PAGE, re.MULTILINE)


def compat_settings() -> str:
    """The settings that the page gives for the clients, with the values that are of this installation."""
    (block,) = re.findall(r"^```\n(COMPAT_API=.*?)```$", PAGE, re.MULTILINE | re.DOTALL)
    until = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    block = re.sub(r"(COMPAT_TOKENS_UNTIL=)\S+", rf"\g<1>{until}", block)
    return re.sub(r"^JWT_SECRET=.*\n", "", block, flags=re.MULTILINE)


class Moved:
    """The former program's folder, in which the page's commands were run, and our web server in it."""

    def __init__(self, directory: Path, databases: SharedServers) -> None:
        self.directory = directory
        self.databases = databases
        self.url = f"http://127.0.0.1:{own_port()}"
        self.outputs: dict[str, str] = {}
        self.env_file = directory / ".env"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | {"ENV_FILE": str(self.env_file), "PYTHONUNBUFFERED": "1"}

    def run(self, command: str) -> int:
        """Run a command of the page in the former program's folder."""
        words, _, source = command.partition(" < ")
        program = shlex.split(words)[1:]
        ended = run_python(
            str(ROOT / program[0]),
            *program[1:],
            env=self.environment,
            cwd=self.directory,
            standard_input=(self.directory / source).read_text("utf-8") if source else "",
        )
        self.outputs[command] = ended.stdout + ended.stderr
        return ended.returncode

    def call(self, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}{path}"
        return httpx.request(
            method, url, headers=headers, timeout=30, trust_env=False, verify=NO_CERTIFICATES, **options
        )


def former_token(**claims: Any) -> str:
    return jwt.encode({"sub": "admin", "label": "dashboard"} | claims, SECRET, algorithm="HS256")


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    databases = SharedServers("moving")
    here = Moved(tmp_path_factory.mktemp("former program"), databases)
    server: ManagedProcess | None = None
    try:
        with pymongo.MongoClient[dict[str, Any]](databases.mongo_uri) as client:
            former.fill(client[databases.mongo_name])
        here.env_file.write_text(
            "# the former program\n"
            f"MONGO_URI = {databases.mongo_uri}   # the replica set\n"
            f"export MONGO_DB='{databases.mongo_name}'\n"
            f"REDIS_URI={databases.redis_uri}\n"
            "ENV = dev\n"
            f'JWT_SECRET = "{SECRET}"\n'
            "JWT_EXPIRE_HOURS=24\n"
            "ADMIN_USERNAME = admin\n"
            f'  ADMIN_PASSWORD = "{PASSWORD}"\n'
            "BATCH_SIZE=50 # documents\n"
            "COLLECT_WINDOW_START=00:30\n"
            "COLLECT_WINDOW_END=05:00\n",
            "utf-8",
        )
        (here.directory / "panel_config.json").write_bytes(former.PANEL_CONFIG.read_bytes())
        (here.directory / "category.json").write_bytes(
            (ROOT / "apps" / "categories" / "sample" / "categories.json").read_bytes()
        )
        soon = datetime.now(UTC) + timedelta(hours=30)
        tokens = former_token(exp=soon, label="api-30d"), former_token(label="api")
        (here.directory / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens))
        statuses = {command: here.run(command) for command in commands_of_page()}
        assert statuses == COMMANDS, here.outputs
        with here.env_file.open("a", encoding="utf-8") as file:
            file.write(compat_settings())
        port = here.url.rpartition(":")[2]
        server = ManagedProcess(
            [sys.executable, str(ROOT / "manage.py"), "serve", "--port", port],
            name="serve",
            log_path=here.directory / "serve.log",
            env=here.environment,
            cwd=here.directory,
        )
        server.start().wait_until_ready(f"{here.url}/health", timeout_seconds=60)
        yield here
    finally:
        if server is not None:
            server.stop(1)
        databases.close()


def test_the_page_names_each_step_once() -> None:
    assert commands_of_page() == list(COMMANDS)


def test_what_the_commands_say_is_what_the_page_shows(moved: Moved) -> None:
    """Every line that the page shows below a command is printed by it, but for numbers and times."""
    for command, shown in re.findall(
        r"^ *\$ (python manage\.py .*)\n((?:(?! *(?:```|\$)).*\n)*)", PAGE, re.MULTILINE
    ):
        printed = {_without_numbers(line) for line in moved.outputs[command].splitlines()}
        for line in shown.splitlines():
            if line.strip() not in ("", "..."):
                assert _without_numbers(line) in printed, (command, line, moved.outputs[command])


def _without_numbers(line: str) -> str:
    return re.sub(r"\d+", "N", " ".join(line.split()))


def test_no_secret_was_printed(moved: Moved) -> None:
    printed = "\n".join([*moved.outputs.values(), (moved.directory / "serve.log").read_text("utf-8")])
    for secret in (SECRET, PASSWORD, former_token(), moved.databases.mongo_uri):
        assert secret not in printed


def test_the_former_names_were_told(moved: Moved) -> None:
    assert "BATCH_SIZE" in moved.outputs["python manage.py check"]


def test_all_figures_are_served_to_the_clients_of_both_contracts(moved: Moved) -> None:
    """The same figures, by our API to a new login and by the former contract to a former permanent token."""
    login = {"username": "admin", "password": PASSWORD}
    token = moved.call("POST", "/api/auth/login", json=login).json()["data"]["token"]
    with pymongo.MongoClient[dict[str, Any]](moved.databases.mongo_uri) as client:
        documents = list(client[moved.databases.mongo_name]["mengla_data_former"].find())
    served = 0
    for document in documents:
        figures = former.figures_of(document)
        if figures is None:
            continue
        first, _, last = document["period_key"].partition(":")
        question = {
            "action": document["action"],
            "catId": document["cat_id"],
            "dateType": document["granularity"].upper(),
            "timest": last or first,
            "starRange": first,
            "endRange": last or first,
        }
        response = moved.call("POST", "/compat/api/mengla/query", former_token(), json=question)
        assert response.status_code == 200, (question, response.text)
        assert former.figures_of({"action": document["action"], "data": response.json()}) == figures
        response = moved.call("POST", "/api/mengla/query", token, json=question)
        data = response.json()["data"]
        is_ranking = document["action"] in ("high", "hot", "chance")
        data = data["list"] if is_ranking else data
        if isinstance(data, dict):
            data.pop("secondaryCategories", None)
        assert data == figures
        served += 1
    assert served == 38


def test_the_rest_came_along(moved: Moved) -> None:
    token = moved.call(
        "POST", "/compat/api/auth/login", json={"username": "admin", "password": PASSWORD}
    ).json()["token"]
    kept = json.loads(former.PANEL_CONFIG.read_text("utf-8"))
    shown = moved.call("GET", "/compat/api/panel/config", token).json()
    assert shown["layout"] == kept["layout"]
    assert [(one["id"], one["name"], one["enabled"], one["props"]) for one in shown["modules"]] == [
        (one["id"], one["name"], one["enabled"], one["props"])
        for one in sorted(kept["modules"], key=lambda one: int(one["order"]))
    ]
    runs = moved.call("GET", "/api/sync-tasks", token).json()["data"]["tasks"]
    assert [(run["task_id"], run["status"]) for run in runs] == [("mengla_single_day", "FAILED")]
    # A former token counts for the former contract only, and only to read.
    assert moved.call("GET", "/api/categories", former_token()).status_code == 401
    assert moved.call("POST", "/compat/api/admin/scheduler/pause", former_token()).status_code == 403
