"""Runs in the Django admin: watched, cancelled, retried and deleted."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from bson import ObjectId
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from apps.core.storage.mongo import collection_of
from apps.sync_tasks import services
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.work import Counts, Failure
from tests.factories import UNKNOWN_ID
from tests.sync_tasks.conftest import FakeWork, change, count_runs, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LIST = "/admin/sync_tasks/synctask/"
OPERATIONS = ("cancel", "retry", "delete", "delete_with_data")


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return html.unescape(" ".join(answer.content.decode().split()))


def live(client: Client, *run_ids: str) -> dict[str, dict[str, Any]]:
    answer = client.get(f"{LIST}live/", {"ids": ",".join(run_ids)})
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    return {run["id"]: run for run in answer.json()["runs"]}


def operate(client: Client, run_id: str, slug: str) -> str:
    answer = client.post(f"{LIST}{run_id}/operation/{slug}/", follow=True)
    return html.unescape(answer.content.decode())


def failures(*reasons: str) -> list[Failure]:
    return [
        Failure(
            collection_id=str(ObjectId()),
            action="hot",
            cat_id="1001",
            dateType="month",
            period="202506",
            error=reason,
            message="<i>broken</i>",
            attempts=2,
        )
        for reason in reasons
    ]


# --- Looking --------------------------------------------------------------------------------------


def test_pages_show_the_run(site: Client) -> None:
    end(start_planned("daily_collect", name="Otherwise"))
    run_id = start("fill", name="<b>补采</b>", period="202506")
    pages = (
        LIST,
        f"{LIST}{run_id}/change/",
        f"{LIST}?q=fill",
        f"{LIST}?q={run_id}",
        f"{LIST}?status=RUNNING",
    )
    for path in pages:
        response = site.get(path)
        assert response.status_code == 200, path
        page = response.content.decode()
        assert "&lt;b&gt;补采&lt;/b&gt;" in page
        assert "2025-06" in page
    for path in pages[2:]:
        assert "Otherwise" not in site.get(path).content.decode()


def test_bars_have_their_numbers_without_javascript(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    work.counts[run_id] = Counts(total=200, completed=40, empty=5, failed=5, active=150)
    work.pace = 25.0
    for path in (LIST, f"{LIST}{run_id}/change/"):
        page = text(site, path)
        assert 'aria-valuenow="25.0"' in page
        assert 'width="25.0%"' in page
        assert '<span data-field="ended">50</span> / <span data-field="total">200</span>' in page
        assert "25.0 per minute" in page
        assert "6 min" in page


def test_live_numbers_move_until_the_run_has_ended(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    work.counts[run_id] = Counts(total=4, completed=1, active=3)
    before = live(site, run_id)[run_id]
    assert (before["percent"], before["is_running"], before["status"]) == (25.0, True, "Running")
    work.counts[run_id] = Counts(total=4, completed=3, failed=1)
    shown = live(site, run_id)[run_id]
    assert (shown["percent"], shown["percent_text"]) == (100.0, "100 %")
    end(run_id, Counts(total=4, completed=3, failed=1))
    after = live(site, run_id)[run_id]
    assert (after["is_running"], after["status"], after["failed"]) == (False, "Completed with failures", 1)


def test_runs_that_are_gone_are_left_out_of_the_live_numbers(site: Client, work: FakeWork) -> None:
    run_id = start()
    assert list(live(site, run_id, str(ObjectId()))) == [run_id]


@pytest.mark.parametrize("ids", ["", "x", "%00", "a" * 5000, ",".join([UNKNOWN_ID] * 101), "$ne"])
def test_live_numbers_of_nonsense_are_refused(site: Client, ids: str) -> None:
    assert site.get(f"{LIST}live/?ids={ids}").status_code == 400


def test_live_numbers_are_for_staff_who_may_look(client: Client) -> None:
    run_id = start()
    assert client.get(f"{LIST}live/?ids={run_id}").status_code == 302
    client.force_login(User.objects.create_user("stranger", is_staff=True))
    assert client.get(f"{LIST}live/?ids={run_id}").status_code == 403


def test_failures_are_grouped_by_reason(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    work.failed = failures("timeout", "rejected", "timeout")
    page = text(site, f"{LIST}{run_id}/change/")
    link = '<a class="collector-link" href="?reason={}#collections">{}</a>'
    reported = [
        f"<li>{count} × {link.format(why, why)}</li>" for count, why in ((2, "timeout"), (1, "rejected"))
    ]
    assert "".join(reported) in page


def test_the_page_loads_its_script(site: Client) -> None:
    run_id = start()
    for path in (LIST, f"{LIST}{run_id}/change/"):
        assert "/static/sync_tasks/live.js" in text(site, path)


# --- Changing -------------------------------------------------------------------------------------


def test_runs_are_neither_added_nor_deleted_nor_edited_by_forms(site: Client) -> None:
    run_id = start()
    assert site.get(f"{LIST}add/").status_code == 403
    assert site.post(f"{LIST}{run_id}/delete/", {"post": "yes"}).status_code == 403
    assert site.post(f"{LIST}{run_id}/change/", {"status": "FAILED"}).status_code == 403
    assert services.is_running(run_id)


def test_a_running_run_is_cancelled(site: Client, work: FakeWork) -> None:
    run_id = start()
    page = text(site, f"{LIST}{run_id}/change/")
    assert [slug for slug in OPERATIONS if f"operation/{slug}/" in page] == ["cancel"]
    assert "? Records stored so far are kept." in text(site, f"{LIST}{run_id}/operation/cancel/")
    assert services.is_running(run_id)
    operate(site, run_id, "cancel")
    assert get(run_id)["status"] == "CANCELLED"
    assert "chief" in get(run_id)["error_message"]
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("chief", run_id)


def test_cancelling_an_ended_run_is_told_and_changes_nothing(site: Client, work: FakeWork) -> None:
    run_id = end(start_planned())
    asked = site.get(f"{LIST}{run_id}/operation/cancel/", follow=True).content.decode()
    for page in (asked, operate(site, run_id, "cancel")):
        assert "This sync task has ended." in page
        assert "Records stored so far are kept" not in page
    assert get(run_id)["status"] == "COMPLETED"
    assert not LogEntry.objects.exists()


def test_what_failed_is_retried(site: Client, work: FakeWork) -> None:
    run_id = end(start_planned(), Counts(total=3, completed=1, failed=2))
    work.counts[run_id] = Counts(total=3, completed=1, failed=2)
    assert "operation/retry/" in text(site, f"{LIST}{run_id}/change/")
    assert "Retry the 2 failed collections of" in text(site, f"{LIST}{run_id}/operation/retry/")
    assert "Retrying the failed collections of" in operate(site, run_id, "retry")
    assert count_runs(retry_of=run_id, requested_by="chief") == 1


def test_without_failures_there_is_nothing_to_retry(site: Client, work: FakeWork) -> None:
    run_id = end(start_planned())
    assert "operation/retry/" not in text(site, f"{LIST}{run_id}/change/")
    asked = site.get(f"{LIST}{run_id}/operation/retry/", follow=True).content.decode()
    for page in (asked, operate(site, run_id, "retry")):
        assert "No collection of this sync task has failed." in page


def test_of_selected_runs_only_those_that_can_be_cancelled_are_asked_for(
    site: Client, work: FakeWork
) -> None:
    running, ended = (
        start_planned("daily_collect", name="Running one"),
        end(start_planned("fill", name="Over")),
    )
    chosen = {"action": "cancel", "_selected_action": [running, ended]}
    page = html.unescape(site.post(LIST, chosen).content.decode())
    assert "Cancel Running one" in page
    assert "This sync task has ended." in page
    assert "Cancel Over" not in page
    page = site.post(LIST, {**chosen, "_selected_action": [ended]}, follow=True).content.decode()
    assert "This sync task has ended." in page
    assert 'name="confirmed"' not in page


def test_what_is_not_sent_is_not_in_flight(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    work.counts[run_id] = Counts(total=150, active=150, in_flight=1)
    page = text(site, f"{LIST}{run_id}/change/")
    assert 'Queued</dt><dd data-field="queued">149</dd>' in page
    assert 'In flight</dt><dd data-field="in_flight">1</dd>' in page
    assert (live(site, run_id)[run_id]["queued"], live(site, run_id)[run_id]["in_flight"]) == (149, 1)


def test_a_run_in_chinese_is_typeset_in_chinese(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    change(run_id, skipped={"fresh": 2, "present": 3})
    work.failed = failures("timeout")
    page = site.get(f"{LIST}{run_id}/change/", headers={"Accept-Language": "zh-hans"}).content.decode()
    shown = " ".join(strip_tags(re.sub(r"(?s)<(script|style|head).*?</\1>", "", page)).split())
    assert ">ID<" in re.sub(r"\s", "", page)
    assert re.findall(r"[\u4e00-\u9fff%][,;!?]|[,;!?] ?[\u4e00-\u9fff]", shown) == []


@pytest.mark.parametrize("slug", ["delete", "delete_with_data"])
def test_deletion_says_how_many_records_before(site: Client, work: FakeWork, slug: str) -> None:
    run_id = end(start_planned())
    work.own_records = 37
    assert "37 records that only it wrote" in text(site, f"{LIST}{run_id}/operation/{slug}/")
    assert count_runs() == 1
    operate(site, run_id, slug)
    assert count_runs() == 0
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.object_id) == (DELETION, run_id)


def test_a_running_run_is_not_deleted(site: Client, work: FakeWork) -> None:
    run_id = start()
    assert "Cancel it first." in operate(site, run_id, "delete_with_data")
    assert services.is_running(run_id)


def test_several_runs_are_cancelled_together(site: Client, work: FakeWork) -> None:
    run_ids = [start(f"task_{number}") for number in range(3)]
    form = {"action": "cancel", "_selected_action": run_ids}
    assert site.post(LIST, form).status_code == 200
    assert all(services.is_running(run_id) for run_id in run_ids)
    site.post(LIST, form | {"confirmed": "yes"})
    assert not any(services.is_running(run_id) for run_id in run_ids)
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("permissions", "slugs"),
    [
        ({"change_synctask"}, {"retry"}),
        ({"change_synctask", "delete_record"}, {"retry"}),
        ({"delete_synctask"}, {"delete"}),
        ({"delete_synctask", "delete_record"}, {"delete", "delete_with_data"}),
    ],
)
def test_each_operation_takes_its_own_permissions(
    client: Client, work: FakeWork, permissions: set[str], slugs: set[str]
) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions | {"view_synctask"}))
    client.force_login(user)
    run_id = end(start_planned(), Counts(total=1, failed=1))
    work.counts[run_id] = Counts(total=1, failed=1)
    page = text(client, f"{LIST}{run_id}/change/")
    assert {slug for slug in OPERATIONS if f"operation/{slug}/" in page} == slugs
    for slug in {"retry", "delete", "delete_with_data"} - slugs:
        for ask in (client.get, client.post):
            assert ask(f"{LIST}{run_id}/operation/{slug}/").status_code == 403
    assert count_runs() == 1
    for slug in slugs & {"delete_with_data"}:
        operate(client, run_id, slug)
        assert count_runs() == 0


def test_actions_for_selected_runs_take_the_permission_to_change(client: Client, work: FakeWork) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    rights = ["view_synctask", "delete_synctask", "delete_record"]
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    run_id = start()
    assert 'value="cancel"' not in text(client, LIST)
    client.post(LIST, {"action": "cancel", "_selected_action": [run_id], "confirmed": "yes"})
    assert services.is_running(run_id)


def test_who_may_only_look_changes_no_run(looker: Client, work: FakeWork) -> None:
    running, ended = start("fill"), end(start_planned())
    work.counts[ended] = Counts(total=1, failed=1)
    for run_id in (running, ended):
        assert "operation/" not in text(looker, f"{LIST}{run_id}/change/")
        for slug in OPERATIONS:
            assert looker.post(f"{LIST}{run_id}/operation/{slug}/").status_code == 403
    looker.post(LIST, {"action": "cancel", "_selected_action": [running], "confirmed": "yes"})
    assert services.is_running(running)
    assert count_runs() == 2
    assert list(live(looker, running)) == [running]


def test_a_run_is_told_in_the_readers_language(site: Client, work: FakeWork) -> None:
    run_id = start_planned()
    work.failed = failures("timeout")
    change(run_id, skipped={"fresh": 53})
    end(run_id, Counts(total=97, completed=52, failed=45))
    page = site.get(f"{LIST}{run_id}/change/", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert "97 个采集任务中有 45 个失败。" in page
    assert "跳过 53 项（已是最新）" in page


def test_an_error_of_an_older_release_is_shown_as_its_text(site: Client) -> None:
    run_id = end(start_planned(), Counts(total=97, completed=52, failed=45))
    collection_of(SyncTask).update_one({"_id": ObjectId(run_id)}, {"$unset": {"error_message_parts": 1}})
    page = site.get(f"{LIST}{run_id}/change/", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert "45 of 97 collections failed." in page


def test_a_run_with_failures_is_no_full_success(site: Client) -> None:
    good, bad = (end(start_planned(task_id)) for task_id in ("daily_collect", "fill"))
    change(bad, totals={"total": 2, "completed": 1, "failed": 1, "empty": 0, "cancelled": 0})
    reported = live(site, good, bad)
    assert [reported[one]["status"] for one in (good, bad)] == ["Completed", "Completed with failures"]
    assert [reported[one]["colour"] for one in (good, bad)] == ["success", "warning"]


def test_the_lists_of_failures_are_sent_when_they_are_asked_for(site: Client) -> None:
    run_id = start_planned()
    assert "pieces" not in live(site, run_id)[run_id]
    (reported,) = site.get(f"{LIST}live/", {"ids": run_id, "pieces": "yes"}).json()["runs"]
    assert set(reported["pieces"]) == {"reasons", "kinds", "collections"}
    assert all(f'data-run="{run_id}"' in html_ for html_ in reported["pieces"].values())
