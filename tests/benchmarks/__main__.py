"""The program of ``bin/bench``: starts a MongoDB and a Redis, measures, prints tables, writes a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from apps.launcher.embedded import EmbeddedError, start_mongo, start_redis
from apps.launcher.processes import ProcessGroup

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / ".local" / "bench"
DATABASE = "collector_tests"  # its name says that it may be emptied


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; the exit status is 0 whatever was measured."""
    options = parser().parse_args(arguments)
    if options.show:
        from tests.benchmarks import report

        report.show(json.loads(options.show.read_text("utf-8")), is_markdown=options.markdown)
        return 0
    if options.quick:
        options.rounds, options.seconds = 1, 1
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        servers = ProcessGroup()
        try:
            os.environ["MONGO_URI"] = servers.add(start_mongo(Path(directory, "mongo"))).uri
            os.environ["REDIS_URI"] = servers.add(start_redis(Path(directory, "redis"))).uri
            _set_up_django()
            from tests.benchmarks.run import run

            run(options, Path(directory))
        except EmbeddedError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        finally:
            servers.stop_all()
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="bin/bench",
        description=(
            "Measures how fast this machine answers requests: the product, the same bytes from a bare "
            "WSGI function on the same server, and plain DRF views with the same data. It starts a MongoDB, "
            "a Redis and web servers of its own, and takes about 15 minutes. Nothing passes or fails."
        ),
    )
    found.add_argument("--rounds", type=_at_least_one, default=5, help="rounds (default: %(default)s)")
    found.add_argument(
        "--seconds", type=_at_least_one, default=1, help="seconds of each measurement (default: %(default)s)"
    )
    found.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help='only these: names of requests as in the tables ("L1 hit"), scale, memory, duplicates, exports, '
        "claims, planning, dispatch, lists",
    )
    found.add_argument(
        "--connections", type=_at_least_one, nargs="+", default=[1, 8, 64], help="(default: 1 8 64)"
    )
    found.add_argument("--processes", type=_at_least_one, nargs="+", default=[1, 2], help="(default: 1 2)")
    found.add_argument("--quick", action="store_true", help="one round of one second, for trying")
    found.add_argument(
        "--scale",
        action="store_true",
        help="also the queue, planning, imports and lists, with many documents",
    )
    found.add_argument("--memory", action="store_true", help="also the memory of a web process")
    found.add_argument("--duplicates", action="store_true", help="also the remover of duplicates")
    found.add_argument("--exports", action="store_true", help="also exports of a million rows")
    found.add_argument("--generator", choices=["wrk", "own"], default="", help="the load generator")
    found.add_argument(
        "--json",
        type=Path,
        default=RESULTS / time.strftime("%Y%m%d-%H%M%S.json"),
        metavar="FILE",
        help="where the results are written (default: a new file in .local/bench)",
    )
    found.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    found.add_argument(
        "--show", type=Path, metavar="FILE", help="measure nothing, print the tables of an earlier run"
    )
    return found


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _set_up_django() -> None:
    """Set Django up before anything of the product is imported."""
    os.environ["MONGO_DB"] = DATABASE
    import tests.environment  # noqa: F401 - sets the variables that the settings read

    os.environ["LOG_LEVEL"] = "WARNING"  # of this process; the servers have their own
    os.environ["ALLOWED_HOSTS"] = "127.0.0.1,testserver"  # the second one is that of Django's test client
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
