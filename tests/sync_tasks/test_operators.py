"""Cancel, settle, retry and delete."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from structlog.testing import capture_logs

from apps.core.errors import Conflict, NotFound
from apps.core.storage.mongo import utc_now
from apps.sync_tasks import selectors, services
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.selectors import find_run, progress_of
from apps.sync_tasks.services.lifecycle import totals_of
from apps.sync_tasks.signals import run_deleted
from apps.sync_tasks.work import Counts
from tests.factories import UNKNOWN_ID
from tests.sync_tasks.conftest import FakeWork, Killed, change, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

HALFWAY = Counts(total=10, completed=3, failed=1, empty=1, active=5)
# As the stand-in cancels it: three waited, two are in flight, of which one is collected and one fails later.
ENDED = Counts(total=10, completed=4, failed=2, empty=1, cancelled=3)
TOTALS = totals_of(ENDED)
UNKNOWN_IDS = [UNKNOWN_ID, "", "x", "é" * 12, "$ne", "0" * 23]


def cancel(run_id: str) -> dict[str, Any]:
    return services.cancel_run(run_id=run_id, cancelled_by="ana")


def unsettled_ids() -> list[str]:
    return [str(run["_id"]) for run in selectors.list_unsettled(10)]


class TestCancel:
    def test_the_totals_are_those_when_the_last_collection_in_flight_has_ended(self, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = HALFWAY
        run = cancel(run_id)
        assert run == get(run_id)
        assert (run["status"], run["totals"], run["running_key"]) == ("CANCELLED", None, None)
        assert run["error_message"] == "Cancelled by ana."
        assert run["finished_at"] is not None
        assert work.asked_for("cancel") == [run_id]
        progress = progress_of(run)
        assert (progress.cancelled, progress.active, progress.percent) == (3, 2, 80.0)
        assert (unsettled_ids(), services.settle_run(run_id)) == ([run_id], False)
        start()

        work.counts[run_id] = ENDED
        assert services.settle_run(run_id)
        assert get(run_id)["totals"] == TOTALS
        assert (unsettled_ids(), services.settle_run(run_id)) == ([], False)

    def test_a_later_change_is_counted_anew_and_leaves_the_status_alone(self, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = ENDED
        cancel(run_id)
        work.counts[run_id] = Counts(total=10, completed=5, failed=1, empty=1, cancelled=3)
        services.reopen_totals([run_id])
        assert (unsettled_ids(), progress_of(get(run_id)).completed) == ([run_id], 5)
        assert services.settle_run(run_id)
        assert not services.finish_run(run_id, counts=Counts(total=10, completed=10))
        run = get(run_id)
        assert (run["status"], run["totals"]["completed"]) == ("CANCELLED", 5)

    def test_totals_counted_before_a_change_are_not_stored_after_it(
        self, work: FakeWork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = start_planned()
        work.counts[run_id] = ENDED
        count, mended = work.count, Counts(total=10, completed=6, failed=0, empty=1, cancelled=3)

        def count_and_change(counted: str) -> Counts:
            counts = count(counted)
            if work.counts[run_id] != mended:
                work.counts[run_id] = mended
                services.reopen_totals([run_id])
            return counts

        monkeypatch.setattr(work, "count", count_and_change)
        assert cancel(run_id)["totals"] == totals_of(mended)
        # The same with the end of a run that counted before.
        other = start_planned()
        before = get(other)["updated_at"]
        services.reopen_totals([other])
        assert not services.finish_run(other, counts=Counts(total=1, failed=1), unchanged_since=before)
        assert services.is_running(other)

    @pytest.mark.parametrize("step", ["cancel", "count"])
    def test_killed_in_between_the_tick_does_the_rest(self, work: FakeWork, step: str) -> None:
        run_id = start_planned()
        work.counts[run_id] = ENDED
        work.dies_in = step
        with pytest.raises(Killed):
            cancel(run_id)
        run = get(run_id)
        assert (run["status"], run["totals"], run["running_key"]) == ("CANCELLED", None, None)
        assert unsettled_ids() == [run_id]

        work.dies_in = ""
        assert services.settle_run(run_id)
        assert get(run_id)["totals"] == TOTALS

    def test_the_last_batch_of_a_planner_is_cancelled_and_counted(self, work: FakeWork) -> None:
        run_id = start()
        assert services.claim_planner_lease(run_id, token="planner", seconds=60)
        work.counts[run_id] = HALFWAY
        assert cancel(run_id)["totals"] is None
        assert unsettled_ids() == []
        assert not services.settle_run(run_id)

        # It had begun before the cancellation, and learns of it only now.
        work.counts[run_id] = Counts(total=510, completed=3, failed=1, empty=1, cancelled=3, active=502)
        assert not services.note_planned(run_id, token="planner", planned_count=510, skipped={})
        assert unsettled_ids() == [run_id]
        assert not services.settle_run(run_id)
        assert progress_of(get(run_id)).cancelled == 503
        work.counts[run_id] = Counts(total=510, completed=5, failed=1, empty=1, cancelled=503)
        assert services.settle_run(run_id)
        assert get(run_id)["totals"] == totals_of(work.counts[run_id])

    def test_a_planner_that_ends_at_the_same_moment_gives_its_lease_back(self, work: FakeWork) -> None:
        run_id = start()
        assert services.claim_planner_lease(run_id, token="planner", seconds=60)
        cancel(run_id)
        assert not services.mark_planned(run_id, token="planner")
        assert unsettled_ids() == [run_id]

    def test_a_dead_planner_is_not_waited_for_longer_than_its_lease(self, work: FakeWork) -> None:
        run_id = start()
        assert services.claim_planner_lease(run_id, token="planner", seconds=60)
        cancel(run_id)
        change(run_id, planner_until=utc_now() - timedelta(milliseconds=1))
        assert unsettled_ids() == [run_id]
        assert services.settle_run(run_id)

    def test_of_many_at_once_one_cancels(self, work: FakeWork) -> None:
        run_id = start_planned()

        def try_to(_number: int) -> str:
            try:
                return str(cancel(run_id)["status"])
            except Conflict as error:
                return str(error.detail)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(5) as pool:
            results = sorted(pool.map(try_to, range(5)))
        assert results == ["CANCELLED", *["status=CANCELLED"] * 4]

    def test_an_ended_run_is_a_conflict_and_its_work_is_left_alone(self, work: FakeWork) -> None:
        run_id = end(start_planned())
        with pytest.raises(Conflict) as caught:
            cancel(run_id)
        assert caught.value.detail == "status=COMPLETED"
        assert not services.settle_run(run_id)
        assert not work.asked

    def test_a_running_run_is_not_settled(self, work: FakeWork) -> None:
        assert not services.settle_run(start())
        assert not work.asked

    @pytest.mark.parametrize("run_id", UNKNOWN_IDS)
    def test_an_unknown_run_is_not_found(self, work: FakeWork, run_id: str) -> None:
        with pytest.raises(NotFound):
            cancel(run_id)
        assert not services.settle_run(run_id)
        assert not work.asked

    def test_an_id_in_capitals_means_the_same_run(self, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = ENDED
        assert cancel(run_id.upper())["totals"] == TOTALS
        assert set(work.asked_for("cancel") + work.asked_for("count")) == {run_id}


class TestRetry:
    def test_a_new_run_is_started_with_what_failed(self, work: FakeWork) -> None:
        run_id = end(start_planned(), Counts(total=2, completed=1, failed=1))
        work.counts[run_id] = Counts(total=2, completed=1, failed=1)
        with capture_logs() as lines:
            started = services.retry_run(run_id=run_id.upper(), requested_by="ana")
        assert started.is_new
        run = get(started.run_id)
        assert (run["retry_of"], run["requested_by"], run["status"]) == (run_id, "ana", "RUNNING")
        [line] = [line for line in lines if line["event"] == "sync_task_retried"]
        assert (line["run_id"], line["new_run_id"], line["requested_by"]) == (run_id, started.run_id, "ana")

    def test_a_cancelled_run_too(self, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = HALFWAY
        cancel(run_id)
        assert services.retry_run(run_id=run_id, requested_by="ana").is_new

    def test_not_while_it_runs(self, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = HALFWAY
        with pytest.raises(Conflict):
            services.retry_run(run_id=run_id, requested_by="ana")
        assert not work.asked_for("retry")

    def test_not_when_nothing_failed_or_late_answers_mended_it(self, work: FakeWork) -> None:
        run_id = end(start_planned(), Counts(total=1, failed=1))
        work.counts[run_id] = Counts(total=1, completed=1)
        with pytest.raises(Conflict):
            services.retry_run(run_id=run_id, requested_by="ana")
        assert not work.asked_for("retry")

    def test_not_while_its_task_runs_again(self, work: FakeWork) -> None:
        run_id = end(start_planned())
        work.counts[run_id] = Counts(total=1, failed=1)
        running = start()
        with pytest.raises(AlreadyRunning) as caught:
            services.retry_run(run_id=run_id, requested_by="ana")
        assert caught.value.run_id == running

    @pytest.mark.parametrize("run_id", UNKNOWN_IDS)
    def test_an_unknown_run_is_not_found(self, work: FakeWork, run_id: str) -> None:
        with pytest.raises(NotFound):
            services.retry_run(run_id=run_id, requested_by="ana")


class Store:
    """An app above this one that holds five records of every run."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, bool]] = []
        self.records = 5
        self.is_down = False

    def __call__(self, sender: Any, *, run_id: str, is_data_deleted: bool, **_kwargs: Any) -> int:
        self.reported.append((run_id, is_data_deleted))
        if not is_data_deleted:
            return 0
        removed, self.records = min(3, self.records), max(0, self.records - 3)
        if self.is_down:
            raise ConnectionError
        return removed + self._rest()

    def _rest(self) -> int:
        rest, self.records = self.records, 0
        return rest


class TestDelete:
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        receiver = Store()
        run_deleted.connect(receiver)
        yield receiver
        run_deleted.disconnect(receiver)

    def test_the_run_alone(self, store: Store) -> None:
        run_id, other = end(start_planned()), end(start_planned())
        deleted = services.delete_run(run_id=run_id, is_data_deleted=False, deleted_by="ana")
        assert deleted.records == 0
        assert store.reported == [(run_id, False)]
        assert find_run(run_id) is None
        assert find_run(other)

    def test_with_its_records(self, store: Store) -> None:
        run_id = end(start_planned())
        with capture_logs() as lines:
            deleted = services.delete_run(run_id=run_id.upper(), is_data_deleted=True, deleted_by="ana")
        assert deleted.records == 5
        assert store.reported == [(run_id, True)]
        [line] = [line for line in lines if line["event"] == "sync_task_deleted"]
        assert (line["run_id"], line["records"], line["deleted_by"]) == (run_id, 5, "ana")

    def test_killed_in_between_it_is_done_by_doing_it_again(self, store: Store) -> None:
        run_id = end(start_planned())
        store.is_down = True
        with pytest.raises(ConnectionError):
            services.delete_run(run_id=run_id, is_data_deleted=True, deleted_by="ana")
        assert find_run(run_id)
        store.is_down = False
        assert services.delete_run(run_id=run_id, is_data_deleted=True, deleted_by="ana").records == 2
        assert find_run(run_id) is None
        with pytest.raises(NotFound):
            services.delete_run(run_id=run_id, is_data_deleted=True, deleted_by="ana")

    def test_not_while_it_runs(self, store: Store) -> None:
        run_id = start_planned()
        with pytest.raises(Conflict):
            services.delete_run(run_id=run_id, is_data_deleted=True, deleted_by="ana")
        assert services.is_running(run_id)
        assert not store.reported

    @pytest.mark.parametrize("run_id", UNKNOWN_IDS)
    def test_an_unknown_run_is_not_found(self, store: Store, run_id: str) -> None:
        with pytest.raises(NotFound):
            services.delete_run(run_id=run_id, is_data_deleted=True, deleted_by="ana")
        assert not store.reported


def test_the_cancellation_is_audited(work: FakeWork) -> None:
    run_id = start()
    with capture_logs() as lines:
        cancel(run_id.upper())
        with pytest.raises(Conflict):
            cancel(run_id)
    [line] = [line for line in lines if line["event"] == "sync_task_cancelled"]
    assert (line["run_id"], line["task_id"], line["cancelled_by"]) == (run_id, "daily_collect", "ana")
