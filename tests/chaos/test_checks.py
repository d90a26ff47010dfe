"""The checks of a trial find what they promise to find, in evidence that is made up here."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.mengla.choices import Action
from tests.chaos.checks import Evidence, service, stored, used
from tests.chaos.given import Given
from tests.chaos.installation import Installation, Outage
from tests.chaos.operators import CANCEL, DELETE, Act, Done
from tests.chaos.readers import EXPORT, HIT, WAIT, Body, Read, Taken
from tests.chaos.sampling import Gap, Sample, gaps_of
from tests.chaos.schedule import MONGO, WEB
from tests.integration.questions import Question

HOT = Question(Action.HOT, "4200", "2024-05-01")
TREND = Question(Action.INDUSTRY_TREND, "4200", "2024-05-03", start="2024-05-01")
START = 1_800_000_000.0


class Story:
    """Writes a journal, and evidence beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[dict[str, Any]] = []

    def execution(
        self,
        name: str,
        at: float,
        *,
        question: Question = HOT,
        ended: float | None = None,
        responded: float | None = None,
        result: str = "figures",
        receipt: str | None = "stored",
        is_sent: bool = True,
    ) -> None:
        parameters = question.query.service_parameters() | {"extra": {}}
        add = self._lines.append
        add({"at": START + at, "event": "request", "request": f"r-{name}"})
        accepted = {"execution": name, "request": f"r-{name}", "parameters": parameters}
        add({"at": START + at, "event": "accepted", **accepted})
        if responded is not None:
            add({"at": START + responded, "event": "responding", "request": f"r-{name}", "execution": name})
        if ended is not None:
            add({"at": START + ended, "event": "ended", "execution": name, "is_dropped": not is_sent})
        if is_sent and ended is not None:
            known = {"execution": name, "result": result}
            add({"at": START + ended, "event": "sending", **known})
            add({"at": START + ended, "event": "sent", **known, "status": 200, "receipt": receipt})

    def evidence(self, **known: Any) -> Evidence:
        """Return evidence of this journal; ``known`` are the documents, and other fields."""
        self._path.write_text("\n".join(map(json.dumps, self._lines)))
        outages = known.pop("outages", [])
        installation = SimpleNamespace(outages=outages, was_down=was_down(outages))
        fields = {name: known.pop(name) for name in ("taken", "done", "samples") if name in known}
        evidence = Evidence(
            installation=cast(Installation, installation),
            given=Given(self._path),
            has_settled=True,
            max_gap_seconds=15.0,
            **{"taken": Taken(), "done": Done(), "samples": [], **fields},
        )
        vars(evidence).update({"collections": [], "records": [], "runs": [], **known})
        return evidence


def was_down(outages: list[Outage]) -> Callable[..., bool]:
    def find(target: str, began: float, ended: float, *, grace_seconds: float) -> bool:
        return any(
            one.target == target and one.overlaps(began, ended, grace_seconds=grace_seconds)
            for one in outages
        )

    return find


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "journal")


def record_of(evidence: Evidence, execution_id: str, question: Question = HOT) -> dict[str, Any]:
    query = question.query
    data = evidence.given.figures_of(execution_id, query.record_ids[0])
    return {
        "_id": query.record_ids[0],
        "action": question.action.value,
        "cat_id": question.cat_id,
        "granularity": "day",
        "period_key": query.start.key,
        "variant": "",
        "is_empty": False,
        "data": copy.deepcopy(data),
        "run_ids": [],
    }


def collection_of(question: Question = HOT, **fields: Any) -> dict[str, Any]:
    query = question.query
    return {
        "_id": "6b0d5995392081fd4f7669e4",
        "identity": query.identity,
        "action": question.action.value,
        "cat_id": question.cat_id,
        "start_key": query.start.key,
        "end_key": query.end.key,
        "status": "SUCCEEDED",
        "active_key": None,
        "slot": None,
        "error_code": "",
        "has_reader": True,
        "run_ids": [],
        "execution_id": "",
        **fields,
    }


class TestRecords:
    @pytest.fixture
    def evidence(self, story: Story) -> Evidence:
        story.execution("first", 0, ended=1)
        story.execution("second", 2, ended=3)
        story.execution("other", 4, ended=5, question=Question(Action.HOT, "4300", "2024-05-01"))
        return story.evidence()

    def found(self, evidence: Evidence, record: dict[str, Any]) -> list[str]:
        vars(evidence)["records"] = [record]
        return list(stored.records_equal_what_was_given(evidence))

    def test_the_last_answer_is_right(self, evidence: Evidence) -> None:
        assert self.found(evidence, record_of(evidence, "second")) == []

    def test_an_older_answer_is_wrong(self, evidence: Evidence) -> None:
        assert "second is newer" in self.found(evidence, record_of(evidence, "first"))[0]

    @pytest.mark.parametrize(("ended", "count"), [(2.5, 0), (4.0, 1)])
    def test_of_two_ranges_the_one_that_was_sent_last_is_right(
        self, story: Story, ended: float, count: int
    ) -> None:
        other = Question(Action.INDUSTRY_TREND, "4200", "2024-05-05", start="2024-05-03")
        story.execution("first", 0, ended=3, question=TREND)
        story.execution("second", 1, ended=ended, question=other)
        evidence = story.evidence()
        record = record_of(evidence, "first", TREND) | {"_id": other.query.record_ids[0]}
        record["data"] = evidence.given.figures_of("first", record["_id"])
        assert len(self.found(evidence, record)) == count

    def test_a_mixture_is_wrong(self, evidence: Evidence) -> None:
        record = record_of(evidence, "second")
        record["data"]["list"][0]["_execution"] = "first"
        assert "mixes" in self.found(evidence, record)[0]

    def test_a_changed_number_is_wrong(self, evidence: Evidence) -> None:
        record = record_of(evidence, "second")
        record["data"]["list"][3]["skuNum"] += 1
        assert "differs" in self.found(evidence, record)[0]

    def test_half_a_list_is_wrong(self, evidence: Evidence) -> None:
        record = record_of(evidence, "second")
        del record["data"]["list"][5:]
        assert "differs" in self.found(evidence, record)[0]

    def test_figures_of_another_key_are_wrong(self, evidence: Evidence) -> None:
        other = Question(Action.HOT, "4300", "2024-05-01")
        data = record_of(evidence, "other", other)["data"]
        assert "differs" in self.found(evidence, record_of(evidence, "second") | {"data": data})[0]

    def test_an_empty_one_without_an_empty_answer_is_wrong(self, evidence: Evidence) -> None:
        record = record_of(evidence, "second") | {"is_empty": True, "data": None}
        assert len(self.found(evidence, record)) == 3

    def test_two_of_one_key_are_wrong(self, evidence: Evidence) -> None:
        record = record_of(evidence, "second")
        vars(evidence)["records"] = [record, record | {"_id": "another"}]
        assert len(list(stored.records_are_there_once(evidence))) == 2

    def test_a_missing_one_is_wrong(self, evidence: Evidence) -> None:
        vars(evidence)["collections"] = [collection_of()]
        assert "missing" in next(stored.answers_are_stored(evidence))
        vars(evidence)["records"] = [record_of(evidence, "second")]
        assert list(stored.answers_are_stored(evidence)) == []


class TestCollections:
    def test_one_that_has_not_ended_is_wrong(self, story: Story) -> None:
        evidence = story.evidence(collections=[collection_of(status="DISPATCHED", slot="1")])
        assert "DISPATCHED" in next(stored.collections_are_final(evidence))

    def test_one_that_is_gone_is_wrong(self, story: Story) -> None:
        evidence = story.evidence(taken=Taken(promised={"6b0d": "hot"}))
        assert "6b0d" in next(stored.what_was_promised_has_an_outcome(evidence))

    def test_one_that_nobody_cancelled_is_wrong(self, story: Story) -> None:
        from datetime import datetime

        cancelled = collection_of(status="CANCELLED", run_ids=["r1"], created_at=datetime(2026, 11, 30))
        assert list(stored.only_operators_cancel(story.evidence(collections=[cancelled])))
        done = Done(acts=[Act(CANCEL, START, START, "200", run_id="r1")])
        assert not list(stored.only_operators_cancel(story.evidence(collections=[cancelled], done=done)))


class TestTheService:
    def known(self, *names: str) -> list[dict[str, Any]]:
        return [collection_of(execution_id=name) for name in names]

    def test_two_at_once_for_one_key_are_wrong(self, story: Story) -> None:
        story.execution("first", 0, ended=2)
        story.execution("second", 1, ended=3)
        evidence = story.evidence(collections=self.known("first", "second"))
        assert "together for 1.00 s" in next(service.one_in_flight_for_a_key(evidence))

    def test_a_late_answer_ends_only_its_own_collection(self, story: Story) -> None:
        story.execution("late", 0, ended=service.TIMEOUT_SECONDS + 2)
        story.execution("first", service.TIMEOUT_SECONDS + 1, ended=service.TIMEOUT_SECONDS + 4)
        story.execution("second", service.TIMEOUT_SECONDS + 3, ended=service.TIMEOUT_SECONDS + 5)
        own = [collection_of(execution_id="first", past_executions=["token late"]), *self.known("second")]
        for other in ("6b0d5995392081fd4f7669e5", own[0]["_id"]):
            own[1]["_id"] = other
            assert list(service.one_in_flight_for_a_key(story.evidence(collections=own))) == []
        own = [*self.known("late"), *self.known("first"), *self.known("second")]
        own[0]["_id"] = "6b0d5995392081fd4f7669e6"
        assert len(list(service.one_in_flight_for_a_key(story.evidence(collections=own)))) == 1

    def test_an_execution_that_was_forgotten_without_a_fault_is_wrong(self, story: Story) -> None:
        story.execution("first", 0, ended=2, responded=0.1)
        assert len(list(service.lost_responses_have_a_cause(story.evidence()))) == 1
        killed = Outage("dispatcher", START + 0.2, START + 0.2)
        assert list(service.lost_responses_have_a_cause(story.evidence(outages=[killed]))) == []

    def test_a_request_whose_response_was_lost_is_not_counted(self, story: Story) -> None:
        story.execution("first", 0, ended=2)
        story.execution("second", 1, ended=3)
        assert list(service.one_in_flight_for_a_key(story.evidence(collections=self.known("second")))) == []

    def test_one_that_timed_out_is_not_in_flight_any_more(self, story: Story) -> None:
        story.execution("first", 0, ended=20)
        story.execution("second", service.TIMEOUT_SECONDS + 0.5, ended=8)
        evidence = story.evidence(collections=self.known("first", "second"))
        assert list(service.one_in_flight_for_a_key(evidence)) == []

    def test_too_many_at_once_are_wrong(self, story: Story) -> None:
        names = [f"e{number}" for number in range(service.SLOTS + 1)]
        for number, name in enumerate(names):
            day = Question(Action.HOT, "4200", f"2024-06-{number + 1:02}")
            story.execution(name, number * 0.2, ended=3, question=day)
        evidence = story.evidence(collections=self.known(*names))
        assert f"{service.SLOTS + 1} in flight" in next(service.slots_are_kept(evidence))
        assert list(service.slots_are_kept(story.evidence(collections=self.known(*names[1:])))) == []

    def test_a_short_interval_is_wrong(self, story: Story) -> None:
        story.execution("first", 0, ended=1)
        story.execution("second", 0.01, ended=1)
        story.execution("third", 1, ended=2)
        assert len(list(service.the_interval_is_kept(story.evidence()))) == 1


class TestReaders:
    def found(self, story: Story, read: Read, *outages: Outage) -> list[str]:
        evidence = story.evidence(taken=Taken(reads=[read]), outages=list(outages))
        return list(used.readers_get_documented_statuses(evidence))

    @pytest.mark.parametrize("outcome", ["500", "404", "502", "304", "503", "ReadError", "not as described"])
    def test_without_a_fault_these_are_wrong(self, story: Story, outcome: str) -> None:
        assert self.found(story, Read(HIT, START, START + 1, outcome))

    @pytest.mark.parametrize("outcome", ["200", "202", "429"])
    def test_these_are_right(self, story: Story, outcome: str) -> None:
        assert self.found(story, Read(EXPORT, START, START + 1, outcome)) == []

    def test_who_waits_may_be_told_of_a_failure(self, story: Story) -> None:
        assert self.found(story, Read(WAIT, START, START + 1, "502")) == []

    def test_a_503_needs_an_outage_of_mongodb(self, story: Story) -> None:
        read = Read(HIT, START + 5, START + 6, "503")
        assert self.found(story, read, Outage(MONGO, START, START + 3)) == []
        assert self.found(story, read, Outage(WEB, START, START + 3))
        assert self.found(story, read, Outage(MONGO, START + 7, START + 9))
        assert self.found(story, read, Outage(MONGO, START - 60, START - 50))

    def test_a_broken_connection_needs_a_killed_web_server(self, story: Story) -> None:
        read = Read(HIT, START + 1, START + 2, "ReadError")
        assert self.found(story, read, Outage(WEB, START, None)) == []
        assert self.found(story, read, Outage(MONGO, START, None))

    def test_a_body_of_another_query_is_wrong(self, story: Story) -> None:
        story.execution("first", 0, ended=1)
        story.execution("trend", 2, ended=3, question=TREND)
        given = story.evidence().given
        right = given.figures_of("first", HOT.query.record_ids[0]) | {"secondaryCategories": []}
        points = [given.figures_of("trend", record_id) for record_id in TREND.query.record_ids]
        other = Question(Action.HOT, "4300", "2024-05-01")
        bodies = {
            "right": Body(HOT, right, START),
            "trend": Body(TREND, points, START),
            "half": Body(HOT, right | {"list": right["list"][:-1]}, START),
            "foreign": Body(other, right, START),
            "twice": Body(TREND, [*points, points[0]], START),
            "empty": Body(HOT, None, START),
        }
        for name, body in bodies.items():
            evidence = story.evidence(taken=Taken(bodies={name: body}))
            found = list(used.bodies_are_what_was_given(evidence))
            assert bool(found) == (name not in ("right", "trend")), (name, found)

    def test_an_export_that_was_cut_off_is_wrong(self, story: Story) -> None:
        story.execution("first", 0, ended=1)
        rows = story.evidence().given.figures_of("first", HOT.query.record_ids[0])["list"]
        lines = [
            {
                "catId": "4200",
                "period": "2024-05-01",
                "catNameCn": row["catNameCn"],
                "more": {"_execution": "first"},
            }
            for row in rows
        ]
        for kept, wrong in ((lines, 0), (lines[:-1], 1)):
            content = "\n".join(map(json.dumps, [*kept, {"end": True, "rows": len(kept)}])).encode()
            evidence = story.evidence(taken=Taken(exports={"one": ("hot", content, START)}))
            assert len(list(used.exports_are_what_was_given(evidence))) == wrong


class TestGaps:
    def samples(self, *due: tuple[float, bool]) -> list[Sample]:
        return [Sample(START + at, is_due, 1, 0) for at, is_due in due]

    def test_due_work_waits_for_the_next_request(self) -> None:
        samples = self.samples(*((at, True) for at in range(10)))
        gaps = gaps_of(samples, [START + 1.5, START + 7.5], [])
        assert [gap.seconds for gap in gaps] == [1.5, 6.0, 1.5]

    def test_time_without_due_work_does_not_count(self) -> None:
        samples = self.samples((0, True), (1, True), (2, False), (8, True), (9, True))
        assert [gap.seconds for gap in gaps_of(samples, [], [])] == [1.0, 1.0]

    def test_it_begins_with_the_end_of_a_fault(self) -> None:
        samples = self.samples(*((at, True) for at in range(12)))
        outage = Outage("cluster 1", START + 2.5, START + 4.5)
        gaps = gaps_of(samples, [START + 1, START + 9.5], [outage])
        assert [(gap.after, gap.seconds) for gap in gaps if gap.seconds > 1] == [
            ("cluster 1", 5.0),
            ("cluster 1", 1.5),
        ]

    def test_a_long_one_is_wrong(self, story: Story) -> None:
        evidence = story.evidence(gaps=[Gap(START, 14.0, "Redis"), Gap(START, 16.0, "Redis")])
        assert len(list(service.the_next_request_comes_soon(evidence))) == 1


def test_an_action_without_effect_is_wrong(story: Story) -> None:
    def get(_path: str) -> Any:
        return SimpleNamespace(json=lambda: {"data": {"pause": {"paused": False}}})

    act = Act(DELETE, START, START + 1, "200", run_id="r1")
    evidence = story.evidence(
        done=Done(acts=[act]), runs=[{"_id": "r1"}], collections=[collection_of(run_ids=["r1"])]
    )
    cast(Any, evidence.installation).get = get
    assert len(list(used.actions_have_their_effect(evidence))) == 2
