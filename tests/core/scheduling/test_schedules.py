"""The wanted schedules, and how they get into django-q2 without losing what was edited there."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from django.core.management import call_command
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Schedule
from pymongo.errors import ServerSelectionTimeoutError

from apps.core.scheduling import schedules
from apps.core.scheduling.schedules import SyncResult, WantedSchedule, next_run_of, sync_schedules
from apps.core.storage.mongo import named_collection
from apps.launcher.supervisor import Supervisor

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAILY = WantedSchedule("daily", "apps.mengla.tasks.daily_collect", "0 2 * * *", "intended_at")
TICK = WantedSchedule("tick", "apps.mengla.tasks.tick", "* * * * *")

on_mongo = [pytest.mark.django_db, pytest.mark.mongo]


def with_cron(schedule: WantedSchedule, cron: str) -> WantedSchedule:
    return WantedSchedule(schedule.name, schedule.task, cron, schedule.intended_date_kwarg)


def stored(name: str) -> Schedule:
    return Schedule.objects.get(name=name)


# --- What is declared -----------------------------------------------------------------------------


def test_every_declared_schedule_can_run() -> None:
    declared = schedules.declared_schedules()
    names = [schedule.name for schedule in declared]
    assert len(names) == len(set(names))
    assert "tick" in names
    for schedule in declared:
        assert callable(import_string(schedule.task)), schedule
        assert croniter.is_valid(schedule.cron), schedule


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 2 * * *", "2025-06-01 01:59:59", "2025-06-01 02:00"),
        ("0 2 * * *", "2025-06-01 02:00:00", "2025-06-02 02:00"),
        ("0 3 1 * *", "2025-12-31 23:59:59", "2026-01-01 03:00"),
        ("0 3 2 1,4,7,10 *", "2025-04-02 03:00:00", "2025-07-02 03:00"),
        ("0 3 3 1 *", "2025-01-03 03:00:00", "2026-01-03 03:00"),
        ("0 0 29 2 *", "2025-01-01 00:00:00", "2028-02-29 00:00"),
        ("* * * * *", "2025-06-01 12:00:30", "2025-06-01 12:01"),
    ],
)
def test_times_are_those_of_shanghai(cron: str, after: str, expected: str) -> None:
    local = datetime.fromisoformat(after).replace(tzinfo=SHANGHAI)
    wanted = datetime.fromisoformat(expected).replace(tzinfo=SHANGHAI).astimezone(UTC).replace(tzinfo=None)
    for zone in (SHANGHAI, UTC, ZoneInfo("America/New_York")):
        assert next_run_of(cron, after=local.astimezone(zone)) == wanted


# --- Into django-q2 -------------------------------------------------------------------------------


class TestSync:
    pytestmark = on_mongo

    def test_first_it_adds(self) -> None:
        assert sync_schedules([DAILY, TICK]) == SyncResult(["daily", "tick"], [], [], [])
        row = stored("daily")
        assert row.func == "apps.mengla.tasks.daily_collect"
        assert row.schedule_type == Schedule.CRON
        assert row.cron == "0 2 * * *"
        assert row.intended_date_kwarg == "intended_at"
        assert row.repeats == -1
        assert row.next_run > timezone.now()
        local = row.next_run.astimezone(SHANGHAI)
        assert (local.hour, local.minute, local.second) == (2, 0, 0)
        row.full_clean()

    def test_then_it_changes_nothing(self) -> None:
        sync_schedules([DAILY, TICK])
        before = list(Schedule.objects.order_by("name").values())
        assert sync_schedules([DAILY, TICK]) == SyncResult([], [], ["daily", "tick"], [])
        assert list(Schedule.objects.order_by("name").values()) == before

    def test_a_due_schedule_stays_due(self) -> None:
        sync_schedules([DAILY])
        due = timezone.now().replace(microsecond=0) - timedelta(hours=1)
        Schedule.objects.filter(name="daily").update(next_run=due)
        sync_schedules([DAILY])
        assert stored("daily").next_run == due

    def test_a_time_edited_in_the_admin_survives_a_restart(self) -> None:
        sync_schedules([DAILY])
        row = stored("daily")
        row.cron = "30 5 * * *"
        row.save()
        assert sync_schedules([DAILY]) == SyncResult([], [], ["daily"], [])
        assert stored("daily").cron == "30 5 * * *"

    def test_a_changed_variable_wins_over_the_edit(self) -> None:
        sync_schedules([DAILY])
        Schedule.objects.filter(name="daily").update(cron="30 5 * * *")
        assert sync_schedules([with_cron(DAILY, "15 4 * * *")]) == SyncResult([], ["daily"], [], [])
        row = stored("daily")
        assert row.cron == "15 4 * * *"
        local = row.next_run.astimezone(SHANGHAI)
        assert (local.hour, local.minute) == (4, 15)

    def test_a_moved_task_is_found_again(self) -> None:
        sync_schedules([DAILY])
        sync_schedules([WantedSchedule("daily", "apps.mengla.tasks.tick", DAILY.cron)])
        row = stored("daily")
        assert (row.func, row.intended_date_kwarg) == ("apps.mengla.tasks.tick", None)

    def test_what_is_no_longer_declared_disappears(self) -> None:
        sync_schedules([DAILY, TICK])
        assert sync_schedules([TICK]) == SyncResult([], [], ["tick"], ["daily"])
        assert [row.name for row in Schedule.objects.all()] == ["tick"]
        assert sync_schedules([TICK]).removed == []

    def test_a_schedule_of_another_program_is_left_alone(self) -> None:
        Schedule.objects.create(name="theirs", func="math.copysign", schedule_type=Schedule.DAILY)
        sync_schedules([TICK])
        sync_schedules([])
        assert [row.name for row in Schedule.objects.all()] == ["theirs"]

    def test_a_schedule_deleted_in_the_admin_comes_back(self) -> None:
        sync_schedules([DAILY])
        stored("daily").delete()
        assert sync_schedules([DAILY]).added == ["daily"]
        assert stored("daily").cron == DAILY.cron

    def test_many_starts_at_once_add_each_once(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: sync_schedules([DAILY, TICK]), range(16)))
        assert sorted(row.name for row in Schedule.objects.all()) == ["daily", "tick"]
        assert all(not result.changed and not result.removed for result in results)

    @pytest.mark.parametrize("failing", ["django_q_schedule", "core_declared_schedules"])
    def test_a_sync_that_was_cut_off_is_completed_by_the_next(
        self, failing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sync_schedules([DAILY])
        changed = with_cron(DAILY, "15 4 * * *")
        with monkeypatch.context() as broken:
            broken.setattr(schedules, "named_collection", _refusing_writes(failing))
            with pytest.raises(ServerSelectionTimeoutError):
                sync_schedules([changed])
        sync_schedules([changed])
        assert stored("daily").cron == "15 4 * * *"
        assert sync_schedules([changed]).unchanged == ["daily"]

    def test_the_command_reports(self) -> None:
        out = StringIO()
        call_command("sync_schedules", "--json", stdout=out)
        names = [schedule.name for schedule in schedules.declared_schedules()]
        done = {"added": names, "changed": [], "unchanged": [], "removed": []}
        assert json.loads(out.getvalue()) == done | {"is_dry_run": False}
        again = StringIO()
        call_command("sync_schedules", stdout=again)
        assert again.getvalue() == f"Schedules: 0 added, 0 changed, {len(names)} unchanged, 0 removed.\n"

    def test_a_dry_run_says_what_would_be_done_and_does_nothing(self, settings: Any) -> None:
        obsolete = WantedSchedule("obsolete", "apps.mengla.tasks.tick", "0 0 * * *")
        sync_schedules([TICK, WantedSchedule("daily_collect", DAILY.task, DAILY.cron), obsolete])
        settings.CRON_DAILY_COLLECT = "15 4 * * *"
        rows = list(named_collection("django_q_schedule").find())
        declared = list(named_collection("core_declared_schedules").find())
        out = StringIO()
        call_command("sync_schedules", "--dry-run", "--json", stdout=out)
        foretold = json.loads(out.getvalue())
        assert list(named_collection("django_q_schedule").find()) == rows
        assert list(named_collection("core_declared_schedules").find()) == declared
        assert (foretold["changed"], foretold["unchanged"]) == (["daily_collect"], ["tick"])
        assert foretold["removed"] == ["obsolete"]
        text = StringIO()
        call_command("sync_schedules", "--dry-run", stdout=text)
        assert text.getvalue().startswith("Dry run, nothing changed: ")
        call_command("sync_schedules", "--json", stdout=(done := StringIO()))
        assert json.loads(done.getvalue()) == foretold | {"is_dry_run": False}

    def test_they_can_be_listed(self) -> None:
        sync_schedules([DAILY, TICK])
        soon = timezone.now() + timedelta(minutes=1)
        Schedule.objects.filter(name="tick").update(next_run=soon)
        later = soon + timedelta(hours=1)
        Schedule.objects.filter(name="daily").update(cron="30 5 * * *", next_run=later)
        Schedule.objects.create(name="theirs", func="math.copysign", schedule_type=Schedule.DAILY)
        tick, daily = schedules.list_schedules()
        assert (tick.name, tick.is_edited, tick.obeys_pause) == ("tick", False, False)
        assert (daily.name, daily.cron, daily.is_edited, daily.obeys_pause) == (
            "daily",
            "30 5 * * *",
            True,
            True,
        )
        assert tick.next_run_at < daily.next_run_at


def _refusing_writes(name: str) -> Callable[[str], Any]:
    """Collections of which one takes no update."""

    class Refusing:
        def __init__(self, collection: Any) -> None:
            self._collection = collection

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self._collection, attribute)

        def update_one(self, *_args: Any, **_kwargs: Any) -> Any:
            raise ServerSelectionTimeoutError("no servers found")

    def collection_named(wanted: str) -> Any:
        collection = named_collection(wanted)
        return Refusing(collection) if wanted == name else collection

    return collection_named


class TestStartOfAWorker:
    """``manage.py qcluster`` registers the schedules before it starts a cluster."""

    pytestmark = [*on_mongo, pytest.mark.redis]

    @pytest.fixture(autouse=True)
    def _no_cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Supervisor, "run", lambda _self, *, is_once: None)

    def start(self) -> None:
        call_command("qcluster", skip_checks=True)

    def test_it_registers_all_of_them(self) -> None:
        self.start()
        names = {schedule.name for schedule in schedules.declared_schedules()}
        assert {row.name for row in Schedule.objects.all()} == names

    def test_a_changed_variable_takes_effect(self, settings: Any, written_log: Any) -> None:
        self.start()
        Schedule.objects.filter(name="monthly_collect").update(cron="30 5 * * *")
        settings.CRON_DAILY_COLLECT = "15 4 * * *"
        self.start()
        row = stored("daily_collect")
        assert row.cron == "15 4 * * *"
        local = row.next_run.astimezone(SHANGHAI)
        assert (local.hour, local.minute) == (4, 15)
        assert stored("monthly_collect").cron == "30 5 * * *"  # edited in the admin
        assert [line["changed"] for line in written_log() if line["event"] == "schedules_synced"] == [
            [],
            ["daily_collect"],
        ]

    def test_an_edit_stays_until_the_variable_changes(self, settings: Any) -> None:
        self.start()
        Schedule.objects.filter(name="daily_collect").update(cron="30 5 * * *")
        self.start()
        assert stored("daily_collect").cron == "30 5 * * *"
        settings.CRON_DAILY_COLLECT = "15 4 * * *"
        self.start()
        assert stored("daily_collect").cron == "15 4 * * *"

    def test_it_starts_though_mongodb_stops_at_this_moment(
        self, monkeypatch: pytest.MonkeyPatch, written_log: Any
    ) -> None:
        monkeypatch.setattr(schedules, "named_collection", _refusing_writes("django_q_schedule"))
        self.start()
        assert "schedules_not_synced" in {line["event"] for line in written_log()}


class TestManyStarts:
    pytestmark = on_mongo

    def test_one_of_many_changes_a_time_and_no_other_puts_a_due_run_off(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sync_schedules([DAILY])
        changed = with_cron(DAILY, "15 4 * * *")
        due = timezone.now().replace(microsecond=0) - timedelta(seconds=1)
        real = named_collection("core_declared_schedules")
        before = real.find_one({"_id": "daily"})
        sync_schedules([changed])
        Schedule.objects.filter(name="daily").update(next_run=due)  # its time comes
        real.replace_one({"_id": "daily"}, before)  # another start has read this before the first one wrote
        sync_schedules([changed])
        assert stored("daily").next_run == due

    def test_many_starts_with_the_same_new_time_agree(self) -> None:
        sync_schedules([DAILY, TICK])
        changed = [with_cron(DAILY, "15 4 * * *"), TICK]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: sync_schedules(changed), range(16)))
        assert stored("daily").cron == "15 4 * * *"
        assert sync_schedules(changed).unchanged == ["daily", "tick"]
