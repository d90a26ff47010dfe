"""An embedded Valkey (or Redis, if that is on PATH) that saves its data at a clean stop."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from apps.launcher.embedded.binaries import REDIS_SERVER, USE_YOUR_SERVERS, find_redis_server
from apps.launcher.embedded.server import EmbeddedServer, ServerKind, start_server
from apps.launcher.ports import is_port_open
from apps.launcher.processes import ProcessFailedError

SNAPSHOT_RULE = ("300", "1")  # saves 300 s after a change, and at a clean stop
CLIENT_TIMEOUT_SECONDS = 5


def start_redis(data_dir: Path, *, port: int | None = None, log_path: Path | None = None) -> EmbeddedServer:
    """Start a Redis on this data directory and wait until it responds; see ``start_server``."""
    return start_server(REDIS, data_dir=data_dir, port=port, log_path=log_path)


def _arguments(port: int) -> list[str]:
    return [
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", "."),
        *("--appendonly", "no"),
        *("--save", *SNAPSHOT_RULE),
        *("--daemonize", "no"),
        *("--databases", "64"),  # enough for the tests: each of their processes uses four
    ]


def _make_ready(port: int) -> bool:
    if not is_port_open(port):
        return False
    client = Redis(
        host="127.0.0.1",
        port=port,
        socket_timeout=CLIENT_TIMEOUT_SECONDS,
        socket_connect_timeout=CLIENT_TIMEOUT_SECONDS,
    )
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def _explain_failure(error: ProcessFailedError, data_dir: Path) -> str:
    return (
        f"{error}\n{data_dir} holds only caches and counters: it can be deleted without losing figures.\n"
        f"To use existing servers:\n  {USE_YOUR_SERVERS}"
    )


REDIS = ServerKind(
    name="Redis",
    commands=REDIS_SERVER.commands,
    find_program=find_redis_server,
    arguments=_arguments,
    make_ready=_make_ready,
    uri=lambda port: f"redis://127.0.0.1:{port}/0",
    explain_failure=_explain_failure,
)
