"""Tells a container engine whether the process of a container works; needs neither Django nor a server.

``python -m apps.launcher.probe web`` asks the web server on this host for ``/health``.
``python -m apps.launcher.probe worker FILE`` looks at the age of the file of ``WORKER_HEARTBEAT_FILE``.
The exit status is 0 when it works, and otherwise 1, with the reason on stderr.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HTTP_OK = 200
REQUEST_SECONDS = 4.0
# A worker touches its file every two seconds, and waits for Redis for less than one.
OLDEST_SECONDS = 30.0


def main(arguments: Sequence[str]) -> int:
    """Check what the command line names, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m apps.launcher.probe", allow_abbrev=False)
    kinds = parser.add_subparsers(dest="kind", required=True)
    web = kinds.add_parser("web", allow_abbrev=False)
    web.add_argument("--port", type=int, default=8000)
    worker = kinds.add_parser("worker", allow_abbrev=False)
    worker.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    problem = web_problem(options.port) if options.kind == "web" else worker_problem(options.file)
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
    return int(problem is not None)


def web_problem(port: int) -> str | None:
    """Return why the web server does not work, or None when it responds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"/health does not respond: {type(error).__name__}"
    finally:
        connection.close()
    return None if status == HTTP_OK else f"/health responds with {status}"


def worker_problem(path: Path) -> str | None:
    """Return why the worker does not work, or None when it has just touched its file."""
    try:
        age_seconds = time.time() - path.stat().st_mtime
    except OSError as error:
        return f"the heartbeat file cannot be read: {type(error).__name__}"
    if age_seconds > OLDEST_SECONDS:
        return f"the worker has not touched its heartbeat file for {age_seconds:.0f} s"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
