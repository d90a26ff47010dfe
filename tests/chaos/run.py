"""Runs the trials that the command line asks for, one after the other."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
import traceback
from pathlib import Path

from rich.console import Console

from apps.launcher.embedded import EmbeddedError
from apps.launcher.processes import ProcessFailedError
from tests.chaos import report
from tests.chaos.leftovers import claim_directory, claimed_ports, clean_up, release_directory
from tests.chaos.schedule import make_schedule
from tests.chaos.trial import Plan, Result, run_trial
from tests.programs import ROOT

PLACE = ROOT / ".local" / "chaos"
PASSED, FAILED, BROKEN = 0, 1, 2


def run(options: argparse.Namespace) -> int:
    """Run the seeds; returns the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=report.WIDTH)
    notes = Console(stderr=True, highlight=False, soft_wrap=True, quiet=options.quiet)
    seeds = options.seed or list(range(1, options.seeds + 1))
    if options.show:
        for seed in seeds:
            console.print(f"seed {seed}\n{make_schedule(seed, options.seconds)}", markup=False)
        return PASSED
    clean_up(PLACE, notes.print)
    directory = PLACE / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    claim_directory(directory)
    results: list[Result] = []
    is_broken = False
    try:
        with claimed_ports(options.first_port) as next_port:
            for seed in seeds:
                place = directory / f"seed-{seed}"
                plan = Plan(
                    schedule=make_schedule(seed, options.seconds),
                    directory=place,
                    next_port=next_port,
                    max_gap_seconds=options.gap_seconds,
                    settle_seconds=options.settle_seconds,
                )
                notes.print(f"seed {seed}")
                result = run_trial(plan, lambda line: notes.print(f"  {line}", markup=False))
                results.append(result)
                _keep_or_delete(result, place, is_kept=options.keep)
                notes.print(f"  {report.verdict_of(result)}", markup=False)
    except (EmbeddedError, ProcessFailedError) as error:
        is_broken = True
        console.print(str(error), markup=False)
    except Exception:  # it is this program's own fault, or that of the machine; the logs say more
        is_broken = True
        console.print(traceback.format_exc(), markup=False)
    finally:
        is_kept = options.keep or is_broken or not all(one.has_passed for one in results)
        release_directory(directory, is_kept=is_kept and directory.exists())
        if is_kept:
            console.print(f"The logs are in {directory}.", markup=False)
        if results:
            report.show(results, console)
        if options.json:
            options.json.write_text(json.dumps(report.as_json(results), indent=1, ensure_ascii=False))
    if is_broken:
        return BROKEN
    return PASSED if all(one.has_passed for one in results) else FAILED


def _keep_or_delete(result: Result, place: Path, *, is_kept: bool) -> None:
    """Delete the logs of a seed that passed; the databases always, for they are large."""
    if result.has_passed and not is_kept:
        shutil.rmtree(place, ignore_errors=True)
    else:
        (place / "report.json").write_text(json.dumps(report.as_json([result]), indent=1, ensure_ascii=False))
        shutil.rmtree(place / "servers" / "mongo", ignore_errors=True)
