"""Prepares the database, categories, admin and schedules; it needs Django, so it runs in its own process.

It writes one line of JSON to stdout for quickstart. The output of the commands goes to stderr, its log.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

SAMPLE_TREE = Path(__file__).resolve().parents[2] / "categories" / "sample" / "categories.json"
CONNECT_TIMEOUT_SECONDS = 5


def main() -> int:
    """Prepare the database and print what was done; return 2 when settings are invalid, 1 when it fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set-admin-password", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management.base import CommandError

    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    problem = _unreachable()
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    try:
        with contextlib.redirect_stdout(sys.stderr):
            result = _prepare(set_admin_password=options.set_admin_password)
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(result))
    return 0


def _prepare(*, set_admin_password: bool) -> dict[str, Any]:
    from django.apps import apps as django_apps
    from django.conf import settings
    from django.core.management import call_command

    call_command("check")
    call_command("migrate", interactive=False, verbosity=1)
    categories = django_apps.get_model("categories", "Category").objects
    imported = not categories.exists()
    if imported:
        call_command("import_categories", str(SAMPLE_TREE))
    created = not _users().filter(username=settings.ADMIN_USERNAME).exists()
    call_command("ensure_admin")
    if set_admin_password and not created:
        user = _users().get(username=settings.ADMIN_USERNAME)
        user.set_password(settings.ADMIN_PASSWORD)
        user.save()
    call_command("sync_schedules")
    return {
        "categories": categories.count(),
        "categories_imported": imported,
        "admin": {
            "username": settings.ADMIN_USERNAME,
            "password": settings.ADMIN_PASSWORD,
            "created": created,
        },
        "admin_path": settings.ADMIN_PATH,
        "notes": settings.ENVIRONMENT_NOTES,
    }


def _users() -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model()._default_manager


def _unreachable() -> str | None:
    """Return why a server cannot be used, or None; without its address, which may contain a password."""
    from django.conf import settings
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError
    from redis import Redis
    from redis.exceptions import RedisError

    timeout_ms = CONNECT_TIMEOUT_SECONDS * 1000
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            settings.MONGO_URI, serverSelectionTimeoutMS=timeout_ms
        )
        with client:
            if not client.admin.command("hello").get("setName"):
                return "The MongoDB of MONGO_URI is not a replica set; one is needed (one node is enough)."
    except PyMongoError as error:
        return f"The MongoDB of MONGO_URI cannot be used ({type(error).__name__}). Is it running?"
    try:
        with Redis.from_url(settings.REDIS_URI, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS) as redis:
            redis.ping()
    except RedisError as error:
        return f"The Redis of REDIS_URI cannot be used ({type(error).__name__}). Is it running?"
    return None


if __name__ == "__main__":
    sys.exit(main())
