"""Runs the chosen parts of the benchmarks, one after another; needs Django set up."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.benchmarks import machine, report
from tests.benchmarks.figures import PARTS, chosen
from tests.benchmarks.load import generator
from tests.benchmarks.rounds import Case, Plan, Rounds, tell
from tests.benchmarks.seed import empty_servers
from tests.benchmarks.servers import Servers
from tests.benchmarks.targets import Row, targets


def run(options: argparse.Namespace, directory: Path) -> None:
    """Measure what the options choose, print the tables, and write the JSON file."""
    name, generate = generator(options.generator)
    plan = Plan(
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        processes=options.processes,
        only=[one for one in options.only if not any(chosen([one]))],
    )
    cases: list[Case] = []
    rows: list[Row] = []
    if plan.only or not options.only:
        empty_servers()
        with Servers(directory / "load") as servers:
            cases = Rounds(servers, plan, generate).run()
    parts = [part for part in PARTS if getattr(options, part)]
    for figures in chosen([*parts, *options.only]):
        measure = figures.find()
        if measure is None:
            tell(f"{figures.name}: not in this tree")
            continue
        tell(f"measuring {figures.name}")
        empty_servers()
        try:
            rows += figures.rows(measure())
        except (Exception, SystemExit) as error:  # what was measured before is not lost
            tell(f"{figures.name} failed: {error!r}")
    facts = {
        "machine": machine.describe(name),
        "options": {"rounds": plan.rounds, "seconds": plan.seconds},
        "requests": [case.as_json() for case in cases],
        "rows": [row._asdict() for row in rows],
        "targets": [one.as_json() for one in targets(cases, rows)],
    }
    report.show(facts, is_markdown=options.markdown)
    report.write(options.json, facts)
    tell(f"The results are in {options.json}")
