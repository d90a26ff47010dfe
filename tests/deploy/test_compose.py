"""compose.yaml: its schema, its variables, its hardening, and that its two servers can be set up by it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
import redis
from pymongo.errors import OperationFailure
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.web.draining import CLOSING_SECONDS
from apps.launcher.embedded import EmbeddedError, find_mongod, find_redis_server
from apps.launcher.management.commands.serve import KILL_AFTER_SECONDS
from apps.launcher.ports import is_port_open
from apps.launcher.processes import ManagedProcess
from tests.deploy.files import (
    DEPLOY,
    FILLED,
    compose,
    image_environment,
    interpolate,
    known_variables,
    program,
    required_variables,
    service_environment,
    services,
    used_by_compose,
)
from tests.missing import leave_out
from tests.parallel import own_port
from tests.programs import run_python

EXAMPLE = (DEPLOY / ".env.example").read_text()
OF_THE_PRODUCT = ("migrate", "web", "worker")


def test_it_is_valid_by_the_schema_of_compose() -> None:
    checker = program("check-jsonschema")
    if checker is None:
        leave_out("check-jsonschema is not installed")
    result = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


# --- Variables ------------------------------------------------------------------------------------


def test_the_example_has_every_variable_and_no_other() -> None:
    used = used_by_compose()
    assert set(re.findall(r"(?m)^#?([A-Z_]+)=", EXAMPLE)) == set(used)
    to_fill_in = set(re.findall(r"(?m)^([A-Z_]+)=", EXAMPLE))
    assert to_fill_in == {name for name, (sign, _) in used.items() if sign == "?"} == set(FILLED)


def test_the_example_shows_the_defaults() -> None:
    shown = dict(re.findall(r"(?m)^#([A-Z_]+)=(.*)$", EXAMPLE))
    assert shown == {name: default for name, (sign, default) in used_by_compose().items() if sign == "-"}


@pytest.mark.parametrize("name", sorted(FILLED))
def test_a_required_variable_is_asked_for(name: str) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    with pytest.raises(LookupError, match=f"{name}: Set {name} in .env"):
        interpolate(text, {key: value for key, value in FILLED.items() if key != name})


@pytest.mark.parametrize("name", OF_THE_PRODUCT)
def test_the_product_knows_every_variable_that_it_gets(name: str) -> None:
    environment = service_environment(name)
    assert set(environment) <= known_variables()
    assert required_variables() <= set(environment)


def test_the_servers_are_reached_with_the_passwords_that_they_get() -> None:
    environment = service_environment("web")
    assert f"mengla:{FILLED['MONGO_PASSWORD']}@mongodb:27017" in environment["MONGO_URI"]
    assert environment["REDIS_URI"] == f"redis://:{FILLED['VALKEY_PASSWORD']}@valkey:6379/0"
    # Neither the web server nor a worker has the passwords of the administrators.
    for name in ("web", "worker"):
        values = set(service_environment(name).values())
        assert not values & {FILLED["MONGO_ROOT_PASSWORD"], FILLED["ADMIN_PASSWORD"]}


def test_the_script_fills_in_the_secrets_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "compose").mkdir()
    (tmp_path / ".env.example").write_text(EXAMPLE)
    script = tmp_path / "compose" / "fill.sh"
    script.write_bytes((DEPLOY / "compose" / "fill.sh").read_bytes())
    subprocess.run(["sh", script], check=True)
    first = (tmp_path / ".env").read_text()
    values = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", first))
    assert len(set(values.values())) == len(FILLED)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for name, value in values.items() if name != "HOST_NAME")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    subprocess.run(["sh", script], check=True)
    assert (tmp_path / ".env").read_text() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".env.example", "compose"]


# --- Services -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(services()))
def test_a_container_can_do_little(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    # Of the others the image names a user that is not root.
    assert name in ("mongodb-setup", *OF_THE_PRODUCT, "nginx") or re.fullmatch(r"\d+:\d+", service["user"])
    assert name in ("mongodb-setup", "migrate") or service["deploy"]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(services()))
def test_what_it_refers_to_exists(name: str) -> None:
    service, whole = services()[name], compose()
    for other, condition in service.get("depends_on", {}).items():
        assert other in services()
        checked = condition["condition"] == "service_healthy"
        assert not checked or "healthcheck" in services()[other] or other == "web"  # of its image
    for volume in service.get("volumes", []):
        source = interpolate(volume.split(":")[0] if not volume.startswith("$") else "./tls", FILLED)
        if source == "./tls":
            continue  # the certificate of the operator
        assert (DEPLOY / source).exists() if source.startswith("./") else source in whole["volumes"]
    image = interpolate(service["image"], {})
    assert "build" in service or re.fullmatch(r"[\w/-]+:\d+\.\d+[\w.-]*", image)
    if build := service.get("build"):
        assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_only_the_proxy_can_be_reached_from_other_machines() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"web", "nginx"}
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


def test_the_order_of_the_start() -> None:
    done, healthy = "service_completed_successfully", "service_healthy"
    assert services()["migrate"]["depends_on"] == {
        "mongodb-setup": {"condition": done},
        "mongodb": {"condition": healthy},
        "valkey": {"condition": healthy},
    }
    for name in ("web", "worker"):
        assert services()[name]["depends_on"] == {"migrate": {"condition": done}}
    assert services()["nginx"]["depends_on"] == {"web": {"condition": healthy, "restart": True}}


def test_a_stop_waits_for_what_is_in_progress() -> None:
    assert (
        int(services()["web"]["stop_grace_period"].removesuffix("s")) > CLOSING_SECONDS + KILL_AFTER_SECONDS
    )
    assert services()["worker"]["stop_grace_period"] == "11m"  # docs/operations.md: Stopping


def test_the_worker_is_probed_by_the_file_that_it_touches() -> None:
    test = services()["worker"]["healthcheck"]["test"]
    assert test[1:] == [
        *("python", "-m", "apps.launcher.probe", "worker"),
        image_environment()["WORKER_HEARTBEAT_FILE"],
    ]


# --- The servers ----------------------------------------------------------------------------------


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[int]:
    """The port of a MongoDB that is started as in compose.yaml: with a key, and nothing in it."""
    try:
        found = find_mongod()
    except EmbeddedError as error:
        leave_out(f"there is no MongoDB to set up: {error}")
    (tmp_path / "key").write_text(secrets.token_urlsafe(300).replace("-", "a").replace("_", "b"))
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "db").mkdir()
    port = own_port()
    command = services()["mongodb"]["command"]
    server = ManagedProcess(
        [
            *(found, "--dbpath", tmp_path / "db", "--port", str(port), "--keyFile", tmp_path / "key"),
            *(interpolate(argument, {}) for argument in command if argument != "--bind_ip_all"),
        ],
        name="mongod",
        log_path=tmp_path / "mongod.log",
    ).start()
    yield port
    server.stop(20)


def set_up(port: int, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "MONGO_MEMBER": f"localhost:{port}",
        **{name: FILLED[name] for name in ("MONGO_ROOT_PASSWORD", "MONGO_PASSWORD")},
        "MONGO_DB": "industry_monitor",
        **changes,
    }
    assert set(environment) == set(services()["mongodb-setup"]["environment"])
    (script,) = [one.split(":")[0] for one in services()["mongodb-setup"]["volumes"]]
    return run_python(str(DEPLOY / script), env={"PATH": os.environ["PATH"], **environment})


@pytest.mark.slow
def test_mongodb_is_set_up_and_may_be_again(mongod: int) -> None:
    """With its own password the user may do everything in its database, and nothing elsewhere."""
    first, second = set_up(mongod), set_up(mongod, MONGO_PASSWORD="changed")
    assert first.stdout == "The replica set was made.\nThe user root was made.\nMongoDB is ready.\n"
    assert (second.stdout, second.stderr) == ("MongoDB is ready.\n", "")
    wrong = set_up(mongod, MONGO_ROOT_PASSWORD="another")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "MongoDB has another password for root: that of the first start. Set it again.\n"

    given = service_environment("web")["MONGO_URI"]
    uri = given.replace("mongodb:27017", f"localhost:{mongod}").replace(FILLED["MONGO_PASSWORD"], "changed")
    with pymongo.MongoClient(uri) as client:
        own = client["industry_monitor"]
        own.create_collection("one").create_index("name")
        own.command("collMod", "one", validationLevel="off")
        own.command({"create": "view", "viewOn": "one", "pipeline": []})
        own.drop_collection("one")
        with pytest.raises(OperationFailure, match="not authorized"):
            client["other"]["one"].insert_one({})


@pytest.mark.slow
def test_valkey_takes_its_configuration(tmp_path: Path) -> None:
    try:
        server_program = find_redis_server()
    except EmbeddedError as error:
        leave_out(f"there is no Valkey to start: {error}")
    port = own_port()
    (tmp_path / "password.conf").write_text(f"requirepass {FILLED['VALKEY_PASSWORD']}\n")
    text = (DEPLOY / "compose" / "valkey.conf").read_text()
    text = text.replace("/tmp/", f"{tmp_path}/").replace("dir /data", f"dir {tmp_path}")
    (tmp_path / "valkey.conf").write_text(text.replace("port 6379", f"port {port}"))
    server = ManagedProcess(
        [server_program, tmp_path / "valkey.conf"], name="valkey", log_path=tmp_path / "valkey.log"
    ).start()
    uri = service_environment("web")["REDIS_URI"].replace("valkey:6379", f"127.0.0.1:{port}")
    try:
        with redis.Redis.from_url(uri) as client:
            server.wait_until_ready(lambda: is_port_open(port))
            policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
            assert policy in ("volatile-lru", "noeviction")  # docs/operations.md: Servers
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        once = Retry(NoBackoff(), 0)  # the client would try again for seconds
        with redis.Redis(port=port, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        server.stop(10)


def test_the_shell_lines_are_valid() -> None:
    for name in ("mongodb", "valkey"):
        shell, options, line, _ = services()[name]["entrypoint"]
        assert options == "-ec"
        checked = subprocess.run([shell, "-nc", interpolate(line, {})], capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, b""), name
