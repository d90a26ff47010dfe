"""The operations page: the state of each section, what each operation says before it runs, and its right."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.admin.pages.operations.confirm import OPERATIONS
from apps.core.admin_base.history import change_text, object_text
from apps.core.scheduling.schedules import sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.storage.mongo import named_collection
from apps.mengla.choices import CollectionError
from apps.mengla.dispatch.breaker_control import read_breaker
from apps.mengla.upstream import breaker
from apps.sync_tasks.selectors import last_run_of, list_running
from tests.mengla.support import collections, enqueue, hot, records, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE = "/admin/operations/"
SEES = ("view_record", "view_collection", "view_synctask", "view_schedule")


def text(client: Client, slug: str = "") -> str:
    response = client.get(f"{PAGE}{slug}/" if slug else PAGE)
    assert response.status_code == 200
    return html.unescape(" ".join(response.content.decode().split()))


def do(client: Client, slug: str, **given: Any) -> str:
    """Send the confirmation page; returns the page after it, once the operation has run."""
    response = client.post(f"{PAGE}{slug}/", given, follow=True)
    assert response.status_code == 200
    return html.unescape(" ".join(response.content.decode().split()))


def history() -> list[str]:
    return [f"{object_text(one)}: {change_text(one)}" for one in LogEntry.objects.order_by("pk")]


def offered(page: str) -> set[str]:
    return set(re.findall(r'href="/admin/operations/([a-z0-9-]+)/"', page))


# --- The page --------------------------------------------------------------------------------------


def test_every_operation_is_offered_to_an_admin_and_asks_first(site: Client) -> None:
    assert offered(text(site)) == OPERATIONS.keys() - {"resume"}
    store(hot("202501"))
    enqueue(hot("202502"))
    for slug in OPERATIONS:
        site.get(f"{PAGE}{slug}/")
    assert not is_flag_set(SCHEDULER_PAUSED)
    assert len(records()) == 1
    assert "PENDING" in {one["status"] for one in collections()}
    assert not LogEntry.objects.exists()


def test_who_may_only_look_sees_the_state_and_no_button(staff: Callable[..., Client]) -> None:
    client = staff(*SEES)
    page = text(client)
    for heading in ("Custom collection", "Schedules", "Circuit breaker", "Queue", "Caches", "Collected data"):
        assert f"{heading}</h2>" in page
    assert offered(page) == set()
    assert 'name="granularity"' not in page
    # What cannot be done is not explained.
    assert "You do not have permission to delete collected data." in page
    assert "You see the number" not in page
    for slug in (*OPERATIONS, "collect"):
        assert client.get(f"{PAGE}{slug}/").status_code == 403, slug
        assert client.post(f"{PAGE}{slug}/").status_code == 403, slug
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("permission", "slugs"),
    [
        ("change_schedule", {"pause"}),
        ("change_synctask", {"warm-up"}),
        ("change_collection", set()),
    ],
)
def test_a_right_offers_its_own_operation_alone(
    staff: Callable[..., Client], permission: str, slugs: set[str]
) -> None:
    client = staff(*SEES, permission)
    page = text(client)
    assert offered(page) == slugs
    assert ('name="granularity"' in page) is (permission == "change_collection")
    assert client.post(f"{PAGE}purge/", {"word": "PURGE"}).status_code == 403
    assert client.post(f"{PAGE}reset-breaker/").status_code == 403


def test_strangers_and_staff_without_the_permission(staff: Callable[..., Client], client: Client) -> None:
    assert client.get(PAGE).headers["Location"].startswith("/admin/login/?next=")
    assert staff("view_category").get(PAGE).status_code == 403


def test_an_unknown_operation_is_not_found(site: Client) -> None:
    assert site.get(f"{PAGE}format-disk/").status_code == 404
    assert site.post(f"{PAGE}format-disk/").status_code == 404


def test_without_redis_its_sections_are_unavailable_and_the_others_come(
    site: Client, redis_gone: Callable[[], None]
) -> None:
    text(site)
    redis_gone()
    page = text(site)
    assert page.count("Currently unavailable.") == 2  # breaker and caches
    assert "Queued</dt>" in page
    response = site.get(f"{PAGE}reset-breaker/")
    assert response.status_code == 503
    assert "does not respond" in response.content.decode()
    response = site.post(f"{PAGE}reset-breaker/")
    assert response.status_code == 503
    assert not LogEntry.objects.exists()


def test_without_mongodb_who_was_there_sees_what_redis_knows(
    site: Client, mongo_gone: Callable[[], None]
) -> None:
    text(site)
    mongo_gone()
    response = site.get(PAGE)
    page = response.content.decode()
    assert response.status_code == 503
    assert "MongoDB does not respond" in page
    assert "requests are sent" in page
    assert page.count("Currently unavailable.") >= 4
    assert offered(page) == set()


# --- The operations --------------------------------------------------------------------------------


def test_all_schedules_are_paused_and_resumed(site: Client) -> None:
    sync_schedules()
    assert "Pause all schedules?" in text(site, "pause")
    page = do(site, "pause")
    assert is_flag_set(SCHEDULER_PAUSED)
    assert "All schedules are paused" in page
    assert "by chief" in page
    assert offered(page) & {"pause", "resume"} == {"resume"}
    do(site, "resume")
    assert not is_flag_set(SCHEDULER_PAUSED)
    assert history() == ["Schedules: Paused all schedules.", "Schedules: Resumed all schedules."]


def test_the_breaker_says_why_it_is_open_and_is_reset(site: Client, settings: Any) -> None:
    settings.CB_FAILURE_THRESHOLD = 1
    breaker.record_failure(CollectionError.CONNECT_ERROR)
    page = text(site)
    assert "no requests are sent" in page
    assert "Next probe" in page
    assert "Reset the circuit breaker?" in text(site, "reset-breaker")
    assert "requests are sent" in do(site, "reset-breaker")
    assert read_breaker().state == "closed"
    assert history() == ["Circuit breaker: Reset the circuit breaker."]


def test_everything_is_cancelled_with_its_numbers_told_first(site: Client) -> None:
    assert "There is nothing to do." in text(site, "cancel-all")
    site.post("/admin/run-task/", {"task": "mengla_single_day", "confirmed": "yes"})
    enqueue(hot("202501"))
    asked = text(site, "cancel-all")
    assert "Sync tasks to cancel</dt><dd>1<" in asked
    assert "Queued collections to cancel</dt><dd>1<" in asked
    assert "Go back" in asked
    assert "Cancelled all. Sync tasks: 1. Collections: 1. Still in flight: 0." in do(site, "cancel-all")
    assert list_running(10) == []
    assert history()[-1].startswith("Queue: Cancelled all.")


def test_the_caches_are_warmed_up_as_chosen(site: Client) -> None:
    assert "Warm up the cache?" in text(site, "warm-up")
    do(site, "warm-up", action=["hot", "high"], granularity="month", limit="5")
    run = last_run_of("cache_warmup")
    assert run is not None
    assert run["requested_by"] == "chief"
    assert history() == ["Cache warm-up: Started a cache warm-up."]
    response = site.post(f"{PAGE}warm-up/", {"action": "hot", "granularity": "month", "limit": "5"})
    assert response.status_code == 409
    assert f"/admin/sync_tasks/synctask/{run['_id']}/change/" in response.content.decode()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"action": [], "granularity": "month", "limit": "5"}, "Choose at least one"),
        ({"action": "nonsense", "granularity": "month", "limit": "5"}, "Choose at least one"),
        ({"action": "hot", "granularity": "\x00", "limit": "5"}, "Choose at least one"),
        ({"action": "hot", "granularity": "month", "limit": "0"}, "from 1 to 10000"),
        ({"action": "hot", "granularity": "month", "limit": "９"}, "from 1 to 10000"),
        ({"action": "hot", "granularity": "month", "limit": "9" * 5000}, "from 1 to 10000"),
        ({"action": "hot", "granularity": "month"}, "from 1 to 10000"),
        ({"action": "", "granularity": "", "limit": "-5"}, "of the list. Granularity: Choose at least"),
        ({"action": "", "granularity": "month", "limit": "-5"}, "of the list. Records at most: Must be"),
    ],
)
def test_a_warm_up_that_cannot_be_read_keeps_what_was_chosen(
    site: Client, given: dict[str, Any], problem: str
) -> None:
    response = site.post(f"{PAGE}warm-up/", given)
    page = html.unescape(response.content.decode())
    assert response.status_code == 400
    assert problem in page
    assert ('value="hot" checked' in page) is (given["action"] == "hot")
    assert 'value="chance" checked' not in page
    for name in ("action", "granularity", "limit"):
        assert page.count(f'aria-describedby="fault-{name}"') == page.count(f'id="fault-{name}"')
    assert 'id="fault-' in page
    assert list_running(10) == []


def test_the_caches_are_cleared(site: Client) -> None:
    assert "slower until" in text(site, "clear-caches")
    do(site, "clear-caches")
    do(site, "clear-l1")
    assert history() == [
        "Caches: Cleared both caches (L1 and L2).",
        "Caches: Cleared the memory cache (L1) of every process.",
    ]


def test_the_collected_data_is_deleted_only_once_the_word_is_typed(site: Client) -> None:
    assert "There is nothing to do." in text(site, "purge")
    store(hot("202501"))
    asked = text(site, "purge")
    assert "Records to delete</dt><dd>1<" in asked
    assert 'To confirm, type <b translate="no">PURGE</b>' in asked
    for word in ("", "yes", "purge", "PURGE!"):
        response = site.post(f"{PAGE}purge/", {"word": word})
        assert response.status_code == 400
        assert "Type PURGE to confirm." in response.content.decode()
    assert len(records()) == 1
    do(site, "purge", word="PURGE")
    assert records() == {}
    said = "Deleted the collected data. Records: 1. Collections: 1. Sync tasks: 0."
    assert history() == [f"Collected data: {said}"]


def test_duplicates_are_counted_and_then_deleted(site: Client) -> None:
    store(hot("202501"))
    document = {"action": "hot", "catId": "1001", "dateType": "month", "timest": "2025-01", "data": [1]}
    named_collection("mengla_data").insert_one(document)
    assert "Records to delete</dt><dd>1<" in text(site, "remove-duplicates")
    assert len(records()) == 2
    do(site, "remove-duplicates")
    assert len(records()) == 1
    assert history() == ["Collected data: Deleted duplicate records: 1. Kept: 1."]
