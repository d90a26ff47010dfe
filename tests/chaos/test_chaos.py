"""bin/chaos: a short trial with real processes, the schedules, what a killed run leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from apps.launcher.embedded import EmbeddedError
from tests.chaos import leftovers, schedule
from tests.chaos.__main__ import parser
from tests.chaos.installation import SHAPE
from tests.chaos.schedule import KILL, KINDS, PAUSE, Fault, Mood, Schedule, make_schedule
from tests.chaos.trial import Plan, run_trial
from tests.missing import leave_out
from tests.parallel import own_port
from tests.programs import run_python

# Short, and with what is most likely to lose something. Other tests run beside, so no seconds are checked.
SHORT = Schedule(
    seed=0,
    seconds=12.0,
    faults=(
        Fault(1.0, KILL, schedule.DISPATCHER, 0),
        Fault(2.5, PAUSE, schedule.MONGO, 0, 1.5),
        Fault(4.5, KILL, schedule.WEB_WORKER, 1),
        Fault(5.5, KILL, schedule.REDIS, 0),
        Fault(8.0, KILL, schedule.SENTINEL, 1),
        Fault(8.5, KILL, schedule.SERVICE, 0),
    ),
    moods=(Mood(0.0, "doubles"), Mood(4.0, "fails"), Mood(8.0, "answers early")),
)


@pytest.mark.slow
@pytest.mark.mongo
@pytest.mark.redis
def test_an_installation_that_is_broken_again_and_again_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(
        schedule=SHORT,
        directory=tmp_path,
        next_port=own_port,
        max_gap_seconds=600,
        settle_seconds=240,
        jitter_seconds=10,
        shape=replace(SHAPE, web_workers=2, queue_workers=2),
        readers=3,
    )
    lines: list[str] = []
    try:
        result = run_trial(plan, lines.append)
    except EmbeddedError as error:
        leave_out(f"this test kills servers of its own, and there are none: {error}")
    wrong = {verdict.check.name: verdict.examples for verdict in result.verdicts if verdict.count}
    assert wrong == {}, "\n".join(lines)
    assert result.reads > 0
    assert result.acts > 0
    assert result.executions > 0
    assert len(result.verdicts) > 15


class TestSchedules:
    def test_a_seed_has_the_same_schedule_again(self) -> None:
        assert str(make_schedule(7, 30)) == str(make_schedule(7, 30))
        assert str(make_schedule(7, 30)) != str(make_schedule(8, 30))

    def test_the_command_prints_it(self) -> None:
        shown = run_python("-m", "tests.chaos", "--seed", "7", "--show")
        assert (shown.returncode, shown.stdout) == (0, f"seed 7\n{make_schedule(7, 30)}\n")

    def test_some_seeds_in_a_row_have_every_kind_of_fault(self) -> None:
        first_kinds = {
            (one.how, one.target) for seed in range(1, 7) for one in make_schedule(seed, 30).faults
        }
        assert first_kinds == set(KINDS)

    @pytest.mark.parametrize("seconds", [10.0, 30.0, 120.0])
    def test_all_faults_are_within_the_time_and_in_order(self, seconds: float) -> None:
        for seed in range(50):
            made = make_schedule(seed, seconds)
            times = [one.at_seconds for one in made.faults]
            assert times == sorted(times)
            assert times[0] > 0
            assert times[-1] < seconds
            assert made.moods[0].at_seconds == 0
            assert all((one.seconds > 0) == (one.how == PAUSE) for one in made.faults)

    @pytest.mark.parametrize(
        "arguments",
        ["--seeds 0", "--seconds x", "--seed 1 --seeds 2", "--json /", "--seconds nan", "--seconds 9"],
    )
    def test_wrong_arguments_are_refused(self, arguments: str) -> None:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args(arguments.split())
        assert ended.value.code == 2


class TestLeftovers:
    def owned(self, parent: Path, pid: int, started: float) -> Path:
        directory = parent / f"run-{pid}"
        (directory / "seed-1").mkdir(parents=True)
        (directory / leftovers._OWNER).write_text(json.dumps({"pid": pid, "started": started}))
        return directory

    def test_what_a_killed_run_left_is_ended_and_deleted(self, tmp_path: Path) -> None:
        directory = self.owned(tmp_path, 999_999, 0.0)
        left = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], cwd=directory / "seed-1"
        )
        notes: list[str] = []
        leftovers.clean_up(tmp_path, notes.append)
        assert not psutil.pid_exists(left.pid)
        left.wait()
        assert notes == [f"removed {directory} of a killed run; processes ended: 1"]
        assert not directory.exists()

    def test_the_directory_of_a_run_that_lives_stays(self, tmp_path: Path) -> None:
        process = psutil.Process()
        directory = self.owned(tmp_path, process.pid, process.create_time())
        kept = tmp_path / "kept"
        kept.mkdir()
        leftovers.clean_up(tmp_path, lambda line: pytest.fail(line))
        assert directory.exists()
        assert kept.exists()

    def test_two_runs_have_different_ports(self) -> None:
        with leftovers.claimed_ports(None) as first, leftovers.claimed_ports(None) as second:
            assert {first() for _ in range(5)}.isdisjoint({second() for _ in range(5)})

    def test_the_same_ports_are_not_used_twice(self) -> None:
        first_port = own_port()
        with leftovers.claimed_ports(first_port) as ports:
            assert ports() >= first_port
            with pytest.raises(RuntimeError, match="another run"), leftovers.claimed_ports(first_port):
                pass
        with leftovers.claimed_ports(first_port):
            pass
