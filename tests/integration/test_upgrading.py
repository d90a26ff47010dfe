"""docs/upgrading.md, with its commands: an upgrade of a database of 0.1.0, a rolling restart, a restore.

One installation goes through all of it, in this order, so the tests of this file need each other.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from bson import ObjectId

from apps.core.storage.mongo import our_database
from apps.launcher.processes import ManagedProcess
from tests.integration.conftest import run_stack
from tests.integration.databases import SharedServers
from tests.integration.parts import WebServer, new_client
from tests.integration.questions import Question
from tests.integration.stack import ENDED, Shape, Stack
from tests.integration.waiting import wait_until
from tests.missing import leave_out
from tests.parallel import own_port
from tests.programs import ROOT, run_python
from tests.upgrade.old_database import OldDatabase, indexes_of, load_into

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PAGE = (ROOT / "docs" / "upgrading.md").read_text("utf-8")
Document = dict[str, Any]


def commands_of_page(title: str) -> list[str]:
    """The commands of a section of the page."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^ *\$ python (manage\.py .*)$", section, re.MULTILINE)


BACKUP, RESTORE, UPGRADE = map(commands_of_page, ("Backup", "Restore", "Upgrade"))


@dataclass
class Installation:
    """An upgraded installation; if there is nginx, it has two web servers behind it."""

    stack: Stack
    old: OldDatabase
    directory: Path
    proxy_port: int  # 0: there is no nginx
    servers: list[WebServer]

    def start_proxy(self) -> None:
        """Start a second web server, and nginx in front of both as the page says."""
        stack = self.stack
        url = f"http://127.0.0.1:{own_port()}"
        process = stack._start_command("web-2", "serve", "--port", url.rpartition(":")[2])
        self.servers.append(WebServer(process, url, stack.shape.web_workers))
        configuration = self.directory / "nginx.conf"
        configuration.write_text(nginx_configuration(self))
        stack._processes.append(
            ManagedProcess(
                ["nginx", "-p", str(self.directory), "-c", str(configuration)],
                name="nginx",
                log_path=self.directory / "nginx.log",
                env=dict(os.environ),
                cwd=self.directory,
            ).start()
        )
        for server in self.servers:
            server.wait_until_ready()

    def run(self, command: str) -> str:
        """Run a command of the page, which must succeed, with the backups in our directory."""
        arguments = shlex.split(command.replace("/backups/", f"{self.directory}/"))
        ended = run_python(*arguments, env=self.stack.environment, timeout_seconds=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def figures(self, record: Document) -> Any:
        """Ask for the figures of a record; returns the data of the response."""
        question = {
            "action": record["action"],
            "catId": record["cat_id"] or "all",
            "dateType": record["granularity"].upper(),
            "timest": record["period_key"],
            "starRange": record["period_key"],
            "endRange": record["period_key"],
        }
        with self.stack.client() as client:
            response = client.post("/api/mengla/query", json=question)
        assert response.status_code == 200, (question, response.text)
        return response.json()["data"]


def nginx_configuration(installation: Installation) -> str:
    """The page's upstream with our ports, and what nginx needs besides."""
    (upstream,) = re.findall(r"^(upstream mengla \{\n.*?^\}\n)", PAGE, re.MULTILINE | re.DOTALL)
    for number, server in enumerate(installation.servers, start=1):
        upstream = upstream.replace(f":800{number} ", f"{server.url.removeprefix('http://127.0.0.1')} ")
    paths = "".join(f"{name}_temp_path {name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
daemon off; pid nginx.pid; error_log nginx-errors.log crit; {"user root;" if os.geteuid() == 0 else ""}
events {{ }}
http {{
    access_log off; client_body_temp_path body; {paths}
    {upstream}
    server {{
        listen 127.0.0.1:{installation.proxy_port};
        location / {{
            proxy_pass http://mengla;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


def migrate_environment(databases: SharedServers, old: OldDatabase) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    servers = {
        "MONGO_URI": databases.mongo_uri,
        "MONGO_DB": databases.mongo_name,
        "REDIS_URI": databases.redis_uri,
    }
    return kept | servers | old.secrets | {"ENV_FILE": "", "ENV": "test", "PYTHONUNBUFFERED": "1"}


def kill_migrate(environment: dict[str, str], after: int) -> None:
    """Start `migrate`, and kill it while it applies a migration: the one after so many others."""
    process = subprocess.Popen(
        [sys.executable, *shlex.split(UPGRADE[0])], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        said = b""
        while said.count(b"Applying") <= after:
            piece = os.read(output.fileno(), 4096)
            if not piece:
                break
            said += piece
        time.sleep(random.random() / 50)
        process.kill()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The database of 0.1.0 after the steps of the page, the second of which was killed twice."""
    databases = SharedServers("upgrading")
    with pymongo.MongoClient[Document](databases.mongo_uri) as client:
        old = load_into(client[databases.mongo_name])
    environment = migrate_environment(databases, old)
    for _ in range(2):
        kill_migrate(environment, random.randrange(12))
    for command in UPGRADE:
        ended = run_python(*shlex.split(command), env=environment, timeout_seconds=120)
        assert ended.returncode == 0, ended.stderr
    directory = tmp_path_factory.mktemp("upgrading")
    proxy = own_port() if shutil.which("nginx") else 0
    webhook = f"http://127.0.0.1:{proxy}/api/webhook/mengla-notify" if proxy else ""
    variables = {
        **old.secrets,
        "TRUSTED_PROXIES": "127.0.0.1",
        "MENGLA_WEBHOOK_URL": webhook,
        "CRON_DAILY_COLLECT": "0 2 * * *",  # as it was: otherwise the edited time would not stay
    }
    shape = Shape(web_workers=1, clusters=0, variables=variables)
    for stack in run_stack("upgrading", directory, shape, databases=databases):
        stack.questions.some(60)  # 0.1.0 has asked the first ones
        found = Installation(stack, old, directory, proxy, [stack.web])
        if proxy:
            found.start_proxy()
        stack.start_cluster().wait_until_ready()
        yield found


# --- The upgrade ----------------------------------------------------------------------------------


def test_the_page_names_each_command_once() -> None:
    assert UPGRADE == ["manage.py migrate"]
    assert BACKUP == ["manage.py backup /backups/collector.backup"]
    assert RESTORE == [
        "manage.py restore /backups/collector.backup --dry-run",
        "manage.py restore /backups/collector.backup --replace --yes",
        "manage.py migrate",
    ]


@pytest.mark.django_db
def test_an_upgraded_database_has_the_indexes_of_a_new_one(installation: Installation) -> None:
    upgraded, new = indexes_of(installation.stack.database), indexes_of(our_database())
    assert {name: upgraded[name] for name in new} == new


def test_all_figures_of_0_1_0_are_served(installation: Installation) -> None:
    served = 0
    for record in installation.old.documents["mengla_data"]:
        if record["is_empty"]:
            continue
        data = installation.figures(record)
        if record["action"] == "industryTrendRange":
            (data,) = data
        assert {name: data[name] for name in record["data"]} == record["data"], record["_id"]
        served += 1
    assert served > 40


def test_what_0_1_0_had_begun_is_finished(installation: Installation) -> None:
    """The collections that waited or were in flight when it was killed, and their sync task."""
    stack, old = installation.stack, installation.old
    before = {one["_id"]: one for one in old.documents["mengla_collections"]}
    assert {"PENDING", "DISPATCHED"} < {one["status"] for one in before.values()}

    def are_all_ended() -> bool:
        stack.tick()
        return ENDED.issuperset(stack.database.mengla_collections.distinct("status"))

    wait_until(are_all_ended, timeout_seconds=60, what="all collections end")
    after = {one["_id"]: one["status"] for one in stack.database.mengla_collections.find()}
    assert after.keys() >= before.keys()
    cancelled = {str(one["_id"]) for one in old.documents["sync_tasks"] if one["status"] == "CANCELLED"}
    for collection in before.values():
        is_wanted = not collection["run_ids"] or not cancelled.issuperset(collection["run_ids"])
        expected = "SUCCEEDED" if is_wanted else "FAILED"  # a lost answer, which nobody waits for
        status = collection["status"]
        assert after[collection["_id"]] == (status if status in ENDED else expected), collection
    for run in old.documents["sync_tasks"]:
        shown = stack.get(f"/api/sync-tasks/{run['_id']}").json()["data"]
        assert shown["status"] == (run["status"] if run["status"] != "RUNNING" else "COMPLETED")
        if run["totals"]:
            assert shown["progress"]["total"] == run["totals"]["total"]


def test_what_a_web_process_of_0_1_0_still_enqueues_is_collected(installation: Installation) -> None:
    """During the upgrade it writes documents without the fields that have come since."""
    stack = installation.stack
    waiting = (one for one in installation.old.documents["mengla_collections"] if one["status"] == "PENDING")
    old = next(one for one in waiting if not one["run_ids"] and one["action"] != "industryTrendRange")
    question = stack.questions.one()
    query = question.query
    new = {
        "_id": ObjectId(),
        "action": query.action.value,
        "cat_id": query.cat_id,
        "start_key": query.start.key,
        "end_key": query.end.key,
        "identity": question.identity,
        "active_key": question.identity,
    }
    stack.database.mengla_collections.insert_one(old | new)
    stack.tick()
    assert stack.wait_until_ended([str(new["_id"])]) == {"SUCCEEDED"}
    stack.assert_stored_once([question])


def test_users_tokens_schedules_and_settings_are_kept(installation: Installation) -> None:
    stack, old = installation.stack, installation.old
    for name, status in {"reader": 200, "admin": 200, "revoked": 401}.items():
        with stack.client(old.tokens[name]) as client:
            assert client.get("/api/categories").status_code == status, name
    with new_client(stack.url) as client:
        login = {"username": "operator", "password": "battery staple horse"}
        assert client.post("/api/auth/login", json=login).status_code == 200
        client.cookies.set("sessionid", old.session_id)
        assert client.get("/admin/").status_code == 200  # still logged in
    panels = stack.get("/api/panel-config").json()["data"]
    (layout,) = old.documents["panel_layout"]
    assert [one["id"] for one in panels["modules"]] == [one["id"] for one in layout["modules"]]
    assert panels["layout"]["defaultPeriod"] == "quarter"
    schedules = stack.get("/api/admin/scheduler/status").json()["data"]["schedules"]
    assert next(one["cron"] for one in schedules if one["name"] == "daily_collect") == "15 4 * * *"
    history = stack.get("/api/admin/alerts/history").json()["data"]["events"]
    assert [one["rule"] for one in history] == ["low_success_rate"]
    (silence,) = stack.database.alert_silences.find()
    assert silence["_id"] == "low_success_rate"


# --- The rolling restart --------------------------------------------------------------------------


class Load:
    """Clients of the proxy that read, post, log in and miss, each over a connection that it keeps."""

    def __init__(self, installation: Installation, known: list[Question]) -> None:
        self._stack = installation.stack
        self._url = f"http://127.0.0.1:{installation.proxy_port}"
        self._known = known
        self._is_over = threading.Event()
        self._logins = 5  # of the ten attempts a minute that an address has
        self.responses: Counter[tuple[str, int]] = Counter()
        self.errors: list[str] = []
        self.missed: dict[str, Question] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        calls = {"read": self._read, "read again": self._read, "post": self._post}
        calls |= {"login": self._login, "miss": self._miss}
        threads = [threading.Thread(target=self._repeat, args=one) for one in calls.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(60)

    def _repeat(self, name: str, call: Callable[[httpx.Client], int]) -> None:
        pauses = {"miss": 0.2}
        with new_client(self._url, self._stack.token) as client:
            while not self._is_over.wait(pauses.get(name, 0.05)):
                try:
                    self.responses[name, call(client)] += 1
                except (httpx.HTTPError, AssertionError) as error:
                    self.errors.append(f"{name}: {error!r}")

    def _read(self, client: httpx.Client) -> int:
        question = random.choice(self._known)
        return self._stack.ask(question, client=client).status_code

    def _post(self, client: httpx.Client) -> int:
        question = random.choice(self._known)
        body = {"action": question.action.value, "catId": question.cat_id, "timest": question.timest}
        return client.post("/api/mengla/query", json=body).status_code

    def _login(self, client: httpx.Client) -> int:
        if not self._logins:
            self._is_over.wait()
            return httpx.codes.OK
        self._logins -= 1
        self._is_over.wait(1)
        body = {"username": "admin", "password": self._stack.environment["ADMIN_PASSWORD"]}
        return client.post("/api/auth/login", json=body).status_code

    def _miss(self, client: httpx.Client) -> int:
        question = self._stack.questions.one()
        response = self._stack.ask(question, client=client)
        self.missed[self._stack.collection_id_of(question, response)] = question
        return httpx.codes.ACCEPTED  # or 200, if the figures have come meanwhile


def posts_received(stack: Stack) -> int:
    return stack.log_text().count('"method": "POST", "path": "/api/mengla/query"')


def test_a_rolling_restart_fails_no_request(installation: Installation) -> None:
    """Two web servers one right after the other, then the workers, under load; nothing comes twice either."""
    if not installation.proxy_port:
        leave_out("nginx is not installed (Debian: nginx-light)")
    stack = installation.stack
    known = stack.questions.some(3)
    for question in known:
        stack.collect(question)
    stack.reset()
    before = posts_received(stack)
    load = Load(installation, known)
    with load.running():
        for server in installation.servers:
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(60) == 0
            server.process.start().wait_until_ready(f"{server.url}/health", timeout_seconds=60)
        (old_cluster,) = stack.clusters
        stack.start_cluster().wait_until_ready()
        old_cluster.process.send_signal(signal.SIGTERM)
        assert old_cluster.process.wait(60) == 0
        stack.clusters.remove(old_cluster)
    assert load.errors == []
    assert set(load.responses) == {
        *(("read", 200), ("read again", 200), ("post", 200), ("login", 200), ("miss", 202))
    }
    assert stack.wait_until_ended(load.missed) == {"SUCCEEDED"}
    assert {stack.collection(one)["attempts"] for one in load.missed} == {1}
    stack.assert_stored_once(load.missed.values())
    assert stack.simulator.wait_idle(20)
    webhooks = stack.simulator.stats()["webhooks"]
    assert (webhooks["delivered"], webhooks["retries"], webhooks["failed"]) == (len(load.missed), 0, 0)
    assert posts_received(stack) - before == load.responses["post", 200]


# --- Backup and restore ---------------------------------------------------------------------------


def test_a_restored_backup_is_the_installation_of_its_instant(installation: Installation) -> None:
    stack = installation.stack
    kept = [*stack.questions.some(3), stack.questions.trend(3)]
    answers = [stack.collect(question).json()["data"] for question in kept]
    stack.simulator.set_knobs(delay_seconds=0.2)
    asked = stack.ask_all(stack.questions.some(12))  # they are in flight during the backup
    for command in BACKUP:
        installation.run(command)
    stack.wait_until_ended(asked)

    # What comes after the backup is lost: a token, and figures that the caches hold.
    token, _ = stack.create_token()
    later = stack.questions.one()
    stack.collect(later)
    with pytest.raises(AssertionError, match="worker clusters run"):
        installation.run(f"{RESTORE[1]} --wait-seconds 0")
    for process in [*(one.process for one in installation.servers), *(one.process for one in stack.clusters)]:
        process.stop(60)
    stack.clusters.clear()
    stack.database.mengla_data.delete_many({})
    for command in RESTORE:
        installation.run(command)

    # All documents are of one instant: what had ended has its figures, what had not has none.
    statuses = stack.statuses(asked)
    stack.assert_stored_once(question for one, question in asked.items() if statuses[one] == "SUCCEEDED")
    assert stack.database.mengla_data.count_documents({"collection_id": {"$in": list(asked)}}) == sum(
        status == "SUCCEEDED" for status in statuses.values()
    )
    for server in installation.servers:
        server.process.start()
    for server in installation.servers:
        server.wait_until_ready()
    assert [stack.ask(question).json()["data"] for question in kept] == answers
    with stack.client(token) as client:
        assert client.get("/api/categories").status_code == 401
    assert stack.ask(later).status_code == 202

    # Collecting goes on, also with what was in flight.
    stack.start_cluster().wait_until_ready()
    stack.collect(later)

    def are_all_ended() -> bool:
        stack.tick()
        return set(stack.statuses(asked).values()) == {"SUCCEEDED"}

    wait_until(are_all_ended, timeout_seconds=60, what="the collections of the backup end")
    stack.assert_stored_once([*asked.values(), later, *kept])
