"""The program of ``bin/chaos``: runs trials, prints a table, keeps the logs of those that fail."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

INTERRUPTED = 130
MOST_SECONDS = 600


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        set_up_django()
        from tests.chaos.run import run

        return run(options)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; everything is stopped.\n")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="bin/chaos",
        description=(
            "Breaks a whole installation while readers and operators use it, and checks afterwards that "
            "nothing is lost, doubled or mixed up. Each seed is a fresh installation on this machine with a "
            "MongoDB, a Redis, four web processes, two worker clusters and a simulated collection service. "
            "A seed has the same faults at the same times again, and takes about a minute."
        ),
        epilog="Exit status: 0 all checks passed, 1 a check failed, 2 a trial could not be run. "
        "The logs of a seed that fails are kept, and their place is printed.",
    )
    seeds = found.add_mutually_exclusive_group()
    seeds.add_argument(
        "--seeds", type=_at_least_one, default=1, help="run seeds 1 to N (default: %(default)s)", metavar="N"
    )
    seeds.add_argument("--seed", type=int, nargs="+", metavar="S", help="run these seeds only")
    found.add_argument(
        "--seconds",
        type=_seconds(10),
        default=30.0,
        help="how long faults happen in each seed (default: %(default)g)",
    )
    found.add_argument(
        "--gap-seconds",
        type=_seconds(1),
        default=15.0,
        help="how long due work may wait for the next request after a fault; a busy machine needs more "
        "(default: %(default)g)",
    )
    found.add_argument(
        "--settle-seconds",
        type=_seconds(1),
        default=90.0,  # the tick, which does what nobody else has done, comes once a minute
        help="within what time everything must have ended after the faults (default: %(default)g)",
    )
    found.add_argument("--keep", action="store_true", help="keep the logs of seeds that pass, too")
    found.add_argument("--json", type=_file, metavar="FILE", help="also write the results as JSON")
    found.add_argument("--show", action="store_true", help="run nothing, print the schedules of these seeds")
    found.add_argument("--quiet", action="store_true", help="print only the table, not each fault")
    found.add_argument(
        "--first-port",
        type=_first_port,
        metavar="PORT",
        help="use the 20 ports from here on (default: a free range)",
    )
    return found


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(text)


def _first_port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65516:
        raise argparse.ArgumentTypeError("must be a whole number from 1024 to 65516")
    return int(text)


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError("must be a file in a directory that exists")
    return path


def _seconds(least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not least <= value <= MOST_SECONDS:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {MOST_SECONDS}")
        return value

    return parse


def set_up_django() -> None:
    """Set Django up before anything of the product is imported; no server is used."""
    os.environ |= {"MONGO_URI": "mongodb://127.0.0.1:1", "REDIS_URI": "redis://127.0.0.1:1/0"}
    import tests.environment  # noqa: F401 - sets the variables that the settings read

    os.environ["LOG_LEVEL"] = "WARNING"  # of this process; the installations have their own
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    import apps.mengla.errors  # noqa: F401 - the codes that responses may have


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
