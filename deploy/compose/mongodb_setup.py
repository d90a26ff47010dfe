"""Makes the MongoDB of compose.yaml a replica set of one node, and makes its users.

It may be repeated: what exists stays, and the user of the product gets the password and the roles that are
set now. It runs beside MongoDB, at 127.0.0.1: from there, and only until the first user exists, MongoDB lets
a client without a password initiate the replica set and make that user.

It reads MONGO_MEMBER (host and port, as the product reaches MongoDB), MONGO_ROOT_PASSWORD, MONGO_PASSWORD and
MONGO_DB.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

DEADLINE_SECONDS = 120
UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18
USER_ALREADY_EXISTS = 51003
Client = MongoClient[dict[str, Any]]


def main() -> int:
    """Run all steps and return the exit status."""
    database, member = os.environ["MONGO_DB"], os.environ["MONGO_MEMBER"]
    port = int(member.rpartition(":")[2])
    guest = connect(port)
    try:
        wait_until_it_responds(guest)
        if not guest.admin.command("hello").get("setName"):
            guest.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": member}]})
            print("The replica set was made.")
        wait_until_primary(guest)
        root_password = os.environ["MONGO_ROOT_PASSWORD"]
        root = connect(port, username="root", password=root_password)
        try:
            root.admin.command("ping")
        except OperationFailure as error:
            if error.code != AUTHENTICATION_FAILED:
                raise
            guest.admin.command("createUser", "root", pwd=root_password, roles=["root"])
            print("The user root was made.")
            root = connect(port, username="root", password=root_password)
        make_user(root, "mengla", os.environ["MONGO_PASSWORD"], database)
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            return fail("MongoDB has another password for root: that of the first start. Set it again.")
        return fail(f"MongoDB refused a command: {(error.details or {}).get('codeName', error.code)}")
    except (ConnectionFailure, TimeoutError) as error:
        return fail(f"MongoDB was not ready within {DEADLINE_SECONDS} s: {type(error).__name__}")
    print("MongoDB is ready.")
    return 0


def connect(port: int, **credentials: str) -> Client:
    """Return a client of this one node; it has no connection yet."""
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=5000, **credentials)


def wait_until_it_responds(client: Client) -> None:
    """Wait for the first response.

    :raises ConnectionFailure: when there is none in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            client.admin.command("ping")
            return
        except ConnectionFailure:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def wait_until_primary(client: Client) -> None:
    """Wait until the node accepts writes.

    :raises TimeoutError: when it does not in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not client.admin.command("hello")["isWritablePrimary"]:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.5)


def make_user(client: Client, name: str, password: str, database: str) -> None:
    """Make the user, who may do everything in the database of the product and nothing elsewhere."""
    roles = [{"role": role, "db": database} for role in ("readWrite", "dbAdmin")]
    try:
        client.admin.command("createUser", name, pwd=password, roles=roles)
    except OperationFailure as error:
        if error.code != USER_ALREADY_EXISTS:
            raise
        client.admin.command("updateUser", name, pwd=password, roles=roles)


def fail(message: str) -> int:
    """Print a message, and return the exit status of a failure."""
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
