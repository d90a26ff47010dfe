"""What our processes load when they start, which every user waits for, and every test that starts one."""

from __future__ import annotations

import os
import subprocess

import pytest
from django.db import connection
from django_mongodb_backend import features, operations

from tests.http import METRICS_HEADERS
from tests.programs import run_python

NOBODY_WANTS = {"django.contrib.gis.db", "django.contrib.gis.gdal", "django.contrib.gis.geos"}
FEW_WANT = {"click", "httpx", "pygments", "rich.console"}
# What a web worker does not keep in memory until a request needs it, if ever, and who would load it.
NOT_IN_WEB = {
    "apps.launcher.embedded": "the servers of quickstart and the tests",
    "apps.launcher.supervisor": "the worker cluster",
    "apps.mengla.former.reference_import": "the import from the former program",
    "apps.mengla.management": "the commands",
    "apps.mengla.simulator": "its own command",
    "apprise": "notices of alerts, and the check of ALERT_URLS",
    "babel": "nobody: dates and numbers are written by Django",
    "click": "granian's and httpx's command lines",
    "cryptography.hazmat": "jwt, for algorithms that our tokens do not use, and joserfc",
    "django.contrib.gis": "django-mongodb-backend, for fields that no model has",
    "django_q.cluster": "the worker cluster",
    "joserfc": "logins by an OpenID provider",
    "httpx": "notices of alerts, and the diagnosis",
    "opentelemetry": "traces, which are off by default",
    "pandas": "nobody: figures are built as bytes",
    "pytest": "the tests",
    "requests": "apprise, and djangorestframework for what we do not use",
    "rich": "the commands, and structlog for logs in colours",
    "sentry_sdk": "reports of errors, which are off by default",
    "sqlite3": "the databases that Django supports besides ours",
    "xlsxwriter": "XLSX files",
}
WEB_WANTS = {
    "apps.auth.services",
    "apps.mengla.runs",
    "django.test",
    "jwt",
    "limits",
    "rest_framework.serializers",
    "unfold.admin",
    "yaml",
}
NOTHING_SPECIAL = NOBODY_WANTS | FEW_WANT | WEB_WANTS
SETTINGS = {"DJANGO_SETTINGS_MODULE": "config.settings"}
SETUP = "import django; django.setup()"
WEB = "import config.wsgi, config.urls"

pytestmark = pytest.mark.slow


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with our settings; nothing listens where they point to."""
    environment = os.environ | {
        **SETTINGS,
        "MONGO_URI": "mongodb://127.0.0.1:1",
        "REDIS_URI": "redis://127.0.0.1:1/0",
    }
    ended = run_python("-c", code, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended


def loaded_by(code: str) -> set[str]:
    """The modules that the code loads, until Python ends."""
    tell = "import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules))"
    return set(python(f"{tell}\n{code}").stdout.splitlines()[-1].split())


def manage(*commands: str) -> str:
    """The code that asks manage.py for the help about commands, one after the other."""
    return f"""
import manage
for command in {commands}:
    sys.argv = [one for one in ("manage.py", command, "--help") if one]
    try:
        manage.main()
    except SystemExit as ended:
        assert not ended.code
"""


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (manage("", "serve", "qcluster", "migrate"), NOTHING_SPECIAL),  # all in one process
        (manage("collect"), NOTHING_SPECIAL - {"apps.mengla.runs"}),
        (
            f"{SETUP}; import apps.mengla.tasks, apps.admin.tasks",
            NOTHING_SPECIAL - {"apps.mengla.runs", "httpx"},
        ),
        (WEB, NOBODY_WANTS | FEW_WANT - {"pygments"}),
    ],
    ids=["help, serve, qcluster, migrate", "collect", "tasks", "web"],
)
def test_a_start_loads_only_what_it_needs(code: str, unwanted: set[str]) -> None:
    loaded = loaded_by(code)
    assert "config.settings" in loaded
    assert loaded & unwanted == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.mongo
def test_a_web_worker_loads_only_what_reads_need(reader_token: str) -> None:
    """Not at its start, and not for figures and the admin's login page either."""
    paths = ["/api/mengla?action=hot&primaryCatId=&timest=2020-01", "/admin/login/"]
    headers = {"Authorization": f"Bearer {reader_token}", "Host": "localhost"}
    requests = f"[print(test.Client().get(path, headers={headers}).status_code) for path in {paths}]"
    requests += f"; print(test.Client().get('/metrics', headers={headers | METRICS_HEADERS}).status_code)"
    tell = "print(*sys.modules)"
    started, *statuses, ended = run_python(
        "-c",
        f"import sys; {WEB}; {tell}; from django import test; {requests}; {tell}",
        env=os.environ | SETTINGS | {"MONGO_DB": connection.settings_dict["NAME"]},
    ).stdout.splitlines()
    assert [status for status in statuses if status.isdecimal()] == ["202", "200", "200"]
    for loaded in (started.split(), ended.split()):
        assert "config.urls" in loaded
        assert {name for name in loaded if name in NOT_IN_WEB} == set()


def test_no_process_of_ours_looks_for_libraries_of_the_system() -> None:
    ended = python(f"import ctypes.util; ctypes.util.find_library = None; {WEB}; print('done')")
    assert ended.stdout == "done\n"


def test_the_database_backend_goes_without_geography() -> None:
    """It takes what ``storage.database.base`` raises as the lack of GDAL, and has nothing instead."""
    for module, name in ((features, "GISFeatures"), (operations, "GISOperations")):
        assert vars(module)[name].__module__ == module.__name__


def test_the_checks_load_the_pages_of_the_admin_before_they_check_them() -> None:
    checks = "from django.core import checks; checks.run_checks(tags=['admin'])"
    registry = "from django.contrib import admin; print(len(admin.site._registry))"
    assert int(python(f"{SETUP}; {checks}; {registry}").stdout) > 10


def test_the_queue_loads_its_tasks_before_it_forks() -> None:
    """Or else each worker would, again and again."""
    pretend = "from apps.launcher import supervisor; import sys; supervisor.Supervisor.run = tell"
    tell = "tell = lambda *_, **__: print({'apps.mengla.tasks', 'apps.admin.tasks'} <= sys.modules.keys())"
    servers = "from apps.launcher.management.commands import qcluster as ours"
    up = "ours.require_mongo = ours.require_redis = ours.require_migrations = lambda: None"
    call = "from django.core.management import call_command; call_command('qcluster', skip_checks=True)"
    ended = python("\n".join((SETUP, tell, pretend, servers, up, call)))
    assert ended.stdout == "True\n"
