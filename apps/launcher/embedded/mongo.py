"""An embedded MongoDB: a replica set of one node, because the product needs a replica set."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from apps.launcher.embedded.binaries import MONGOD, USE_YOUR_SERVERS, find_mongod
from apps.launcher.embedded.server import EmbeddedServer, ServerKind, start_server
from apps.launcher.ports import is_port_open
from apps.launcher.processes import ProcessFailedError

REPLICA_SET = "rs0"
CACHE_GIGABYTES = "0.25"
OPLOG_MEGABYTES = "256"
CLIENT_TIMEOUT_MS = 5000

NOT_YET_INITIALIZED = 94
OTHER_DATA_VERSION_STATUS = 62


def start_mongo(data_dir: Path, *, port: int | None = None, log_path: Path | None = None) -> EmbeddedServer:
    """Start a MongoDB on this data directory and wait until it is primary; see ``start_server``."""
    return start_server(MONGO, data_dir=data_dir, port=port, log_path=log_path)


def _arguments(port: int) -> list[str]:
    return [
        *("--dbpath", "."),
        *("--port", str(port)),
        *("--bind_ip", "127.0.0.1"),
        *("--replSet", REPLICA_SET),
        *("--wiredTigerCacheSizeGB", CACHE_GIGABYTES),
        *("--oplogSize", OPLOG_MEGABYTES),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
        "--nounixsocket",
        "--quiet",
    ]


def _make_ready(port: int) -> bool:
    """Configure the replica set if needed; return whether this server is its writable primary."""
    if not is_port_open(port):
        return False
    client: MongoClient[dict[str, Any]] = MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=CLIENT_TIMEOUT_MS,
        socketTimeoutMS=CLIENT_TIMEOUT_MS,
    )
    try:
        hello = client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return True
        if not hello.get("setName"):
            _configure(client, f"127.0.0.1:{port}")
    except PyMongoError:
        return False
    finally:
        client.close()
    return False


def _configure(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Create the replica set, or change the port of its only member."""
    try:
        config: Mapping[str, Any] = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code == NOT_YET_INITIALIZED:
            members = [{"_id": 0, "host": host}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return
    if [member["host"] for member in config["members"]] != [host]:
        members = [{**config["members"][0], "host": host}]
        changed = {**config, "version": config["version"] + 1, "members": members}
        client.admin.command("replSetReconfig", changed, force=True)


def _explain_failure(error: ProcessFailedError, data_dir: Path) -> str:
    if error.status == OTHER_DATA_VERSION_STATUS:
        return (
            f"{error}\nThe data in {data_dir} was written by another version of MongoDB. "
            "Put that version first on PATH, or delete the directory to start with an empty database."
        )
    lacks_avx = error.status == -signal.SIGILL
    reason = "\nThis processor lacks the instructions that MongoDB needs (AVX)." if lacks_avx else ""
    return f"{error}{reason}\nTo use existing servers:\n  {USE_YOUR_SERVERS}"


MONGO = ServerKind(
    name="MongoDB",
    commands=MONGOD.commands,
    find_program=find_mongod,
    arguments=_arguments,
    make_ready=_make_ready,
    uri=lambda port: f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}",
    explain_failure=_explain_failure,
)
