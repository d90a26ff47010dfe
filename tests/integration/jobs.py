"""What the child processes of these tests do besides the product's own functions; needs Django set up."""

from __future__ import annotations

from unittest import mock

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from apps.categories.models import Category
from apps.core.periods import Granularity, parse_period, period_range
from apps.core.storage.mongo import collection_of
from apps.launcher.quickstart.prepare import SAMPLE_TREE
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.dispatch import dispatcher
from apps.mengla.models import Collection
from apps.mengla.monitoring import diagnose_checks
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import documents, jobs


def prepare() -> None:
    """Bring an empty database to where the product can start."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("import_categories", str(SAMPLE_TREE), verbosity=0)
    call_command("ensure_admin")
    call_command("sync_schedules")
    assert Category.objects.exists()


def create_operator(name: str, password: str) -> None:
    """Create a staff user who may change the panel configuration."""
    user = User.objects.create_user(name, password=password, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_panelmodule"))


def deactivate(name: str) -> None:
    """Let a user log in no more."""
    user = User.objects.get(username=name)
    user.is_active = False
    user.save()


def change_password(name: str) -> None:
    """Give a user another, random password."""
    user = User.objects.get(username=name)
    user.set_unusable_password()
    user.save()


def withdraw_permissions(name: str) -> None:
    """Take all permissions of a user away; it stays a staff user."""
    User.objects.get(username=name).user_permissions.clear()


def insert_collections(count: int) -> None:
    """Put this many different collections into the queue."""
    start = parse_period("20200101", Granularity.DAY)
    end = start.shift(count - 1)
    new = [
        documents.new_document(
            DataQuery(Action.HOT, "4200", day, day),
            priority=Priority.BACKFILL,
            requested_by="tests",
            run_id=None,
            is_forced=False,
        )
        for day in period_range(start, end)
    ]
    collection_of(Collection).insert_many(new)


def claim_until_empty(slot_count: int, together: int) -> list[str]:
    """Claim and finish collections until the queue is empty; returns the ids in the order of the claims.

    ``together`` is how many are claimed with one update, if more than one.
    """
    claimed: list[str] = []
    stored = collection_of(Collection)
    while True:
        if together > 1:
            collections = jobs.claim_many(together, slot_count=slot_count)
        else:
            collections = [one for one in [jobs.claim(slot_count=slot_count)] if one is not None]
        for collection in collections:
            claimed.append(str(collection["_id"]))
            jobs.finish(collection["_id"], status=CollectionStatus.SUCCEEDED)
        if not collections and not stored.find_one({"status": CollectionStatus.PENDING.value}, {"_id": 1}):
            return claimed


def dispatch_without_lease(name: str, max_seconds: float, slot_count: int) -> int:
    """Dispatch as if the lease were broken: every process believes it is the only dispatcher."""
    settings.MAX_INFLIGHT_REQUESTS = slot_count
    with mock.patch.object(dispatcher, "LEASE_NAME", f"dispatch-{name}"):
        return dispatcher.run_dispatch(max_seconds=max_seconds)


def diagnose_worker() -> str:
    """Return what the diagnosis says about the worker clusters."""
    try:
        return diagnose_checks.check_worker()
    except diagnose_checks.CheckFailed as failure:
        return failure.detail
