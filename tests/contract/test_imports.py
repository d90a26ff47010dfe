"""Who may import whom: the contracts of import-linter, and what they cannot say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.programs import ROOT, run_python

APPS = ROOT / "apps"
ROOMS_OF_MENGLA = tuple(
    f"apps/mengla/{room}/"
    for room in (
        *("export", "monitoring", "maintenance", "runs", "reading", "dispatch", "former"),
        *("ingest", "queue", "store", "queries", "upstream"),
    )
)
# Only mengla itself receives figures and speaks to the collection service.
OFFERED_ROOMS = frozenset(ROOMS_OF_MENGLA) - {"apps/mengla/ingest/", "apps/mengla/upstream/"}
# What an app offers to the others. Models of other apps are named by strings, never imported.
PUBLIC = frozenset({"services", "selectors", "choices", "errors", "permissions", "signals"})
PUBLIC_MODULES = frozenset(
    {
        "apps.auth.entry",  # how callers prove who they are
        "apps.auth.oidc",  # whether logins by the provider work
        "apps.auth.passwords",  # the limits of passwords and of the lifetimes of tokens
        "apps.auth.principal",  # what request.user is, for every view
        *(room.strip("/").replace("/", ".") for room in OFFERED_ROOMS),
        "apps.mengla.export_api",  # what an address of exports takes and answers
        "apps.mengla.management",  # the base of commands that start runs and follow them
        "apps.mengla.replies",  # the headers of figures, and where a collection stands
        "apps.mengla.run_requests",  # what a request that starts a run says
        "apps.categories.entries",  # categories from the caches
        "apps.categories.responses",  # the shape of a category, which figures contain
        "apps.mengla.words",  # what is stored of failed collections, as people read it
        "apps.panels.responses",  # the panel configuration from the caches
        "apps.sync_tasks.progress",  # how far a run is
        "apps.sync_tasks.responses",  # what an address that starts a run answers
        "apps.sync_tasks.words",  # what is stored of runs, as people read it
        "apps.sync_tasks.work",  # what the app that does the work of runs has to offer
    }
)
# The former contract is a second door to everything: it shares request bodies and what operators see.
OFFERED_TO_COMPAT = frozenset(
    {
        *("apps.admin.alerts", "apps.admin.caches", "apps.admin.data", "apps.admin.metrics"),
        *("apps.admin.runs", "apps.admin.scheduler", "apps.panels.serializers"),
        *("apps.auth.serializers", "apps.sync_tasks.serializers"),
    }
)
SERVER_MODULES = frozenset(
    {"socket", "socketserver", "http.client", "http.server", "urllib.request", "asyncio"}
)
# The same list stands in pyproject.toml, in the contract "socket".
HTTP_CLIENTS = (
    "apps/auth/oidc/provider.py",
    "apps/mengla/upstream/client.py",
    "apps/mengla/monitoring/diagnose_checks.py",
    "apps/admin/alerts/channels/webhook.py",
)
# These talk to this machine's own servers, or are the stand-in for the collection service.
SOCKET_USERS = (
    "apps/core/web/draining.py",  # the sockets on which this process listens
    "apps/launcher/embedded/",
    "apps/launcher/ports.py",
    "apps/launcher/probe.py",
    "apps/launcher/processes.py",
    "apps/launcher/quickstart/",
    "apps/mengla/simulator/",
)


def sources(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every module below the folder, parsed, by its path from the root."""
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(), str(path))


def imported_by(tree: ast.Module) -> Iterator[str]:
    """The full name of everything the module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_product_imports_only_packages_of_requirements_txt() -> None:
    # Parquet files, logins by an OpenID provider, traces, reports of errors: an error says what is missing.
    optional = {"pyarrow", "joserfc", "opentelemetry", "sentry_sdk"}
    named = re.findall(r"^[\w.-]+", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    wanted = {distribution_name(name) for name in named}
    distributions = packages_distributions()
    for folder in (APPS, ROOT / "config"):
        for path, tree in sources(folder):
            if "migrations/" in path:
                continue
            packages = {name.partition(".")[0] for name in imported_by(tree)}
            for package in packages - sys.stdlib_module_names - {"apps", "config"} - optional:
                found = {distribution_name(name) for name in distributions[package]}
                assert found & wanted, f"{path} imports {package}"


def distribution_name(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.slow
def test_the_contracts_of_import_linter_hold() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = run_python("-c", program, timeout_seconds=120)
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


def test_an_app_uses_only_what_another_offers() -> None:
    trespasses = []
    for path, tree in sources(APPS):
        _, own_app, *_ = path.split("/")
        for name in imported_by(tree):
            parts = name.split(".")
            if parts[0] != "apps" or len(parts) < 3 or parts[1] in (own_app, "core"):
                continue
            offered = PUBLIC_MODULES | (OFFERED_TO_COMPAT if own_app == "compat" else frozenset())
            if parts[2] not in PUBLIC and ".".join(parts[:3]) not in offered:
                trespasses.append(f"{path} imports {name}")
    assert trespasses == []


def test_the_kernel_knows_no_other_app() -> None:
    for path, tree in sources(APPS / "core"):
        for name in imported_by(tree):
            assert not name.startswith("apps.") or name.startswith("apps.core"), f"{path} imports {name}"


def test_only_the_client_of_the_collection_service_opens_sockets() -> None:
    for path, tree in sources(APPS):
        if path.startswith(SOCKET_USERS):
            continue
        for name in imported_by(tree):
            is_server = any(name == module or name.startswith(f"{module}.") for module in SERVER_MODULES)
            assert not is_server, f"{path} imports {name}"
            assert not name.startswith("httpx") or path in HTTP_CLIENTS, f"{path} imports {name}"


def test_services_know_neither_http_nor_drf() -> None:
    names = {"services", "selectors", "models", "choices", "errors", "validation"}
    for path, tree in sources(APPS):
        parts = set(Path(path).with_suffix("").parts)
        if "management" in parts or path.startswith("apps/core/"):
            continue
        if not parts & names and not path.startswith(ROOMS_OF_MENGLA):
            continue
        for name in imported_by(tree):
            assert not name.startswith(("rest_framework", "django.http", "django.views", "drf_")), (
                f"{path} imports {name}"
            )


def test_only_the_readers_of_the_environment_read_it() -> None:
    allowed = (
        "config/env.py",
        "config/wsgi.py",  # sets DJANGO_SETTINGS_MODULE
        # These pass an environment on to the processes they start.
        "apps/launcher/embedded/",
        "apps/launcher/env_file.py",  # the only reader of .env
        "apps/launcher/management/commands/serve.py",
        "apps/launcher/processes.py",
        "apps/launcher/quickstart/",
    )
    for folder in (APPS, ROOT / "config"):
        for path, tree in sources(folder):
            if path.startswith(allowed):
                continue
            names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names |= set(imported_by(tree))
            readers = {"os.environ", "os.environb", "os.getenv", "os.putenv", "dotenv.parser.parse_stream"}
            assert not names & readers, f"{path} reads the environment"


def test_wsgi_sets_nothing_but_the_settings_module() -> None:
    text = (ROOT / "config/wsgi.py").read_text()
    assert text.count("environ") == 1
    assert 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")' in text


def test_migrations_need_no_code_of_ours() -> None:
    for path, tree in sources(APPS):
        if "/migrations/" not in path:
            continue
        for name in imported_by(tree):
            assert not name.startswith("apps.") or name.startswith("apps.core."), f"{path} imports {name}"
