"""``.ci/audit``: a vulnerable package fails, and advisories that cannot be reached are told loudly."""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler

import pytest

from tests.programs import run_python

pytestmark = pytest.mark.slow

ADVISORY = {
    "id": "GHSA-made-up",
    "summary": "A made-up hole.",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}
Serve = Callable[[dict[str, object]], str]


@pytest.fixture
def service() -> Iterator[Serve]:
    """Starts a service like OSV that has these advisories by package, and returns its address."""
    with ExitStack() as stack:

        def serve(advisories: dict[str, object]) -> str:
            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_POST(self) -> None:
                    query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    found = advisories.get(query["package"]["name"])
                    body = json.dumps({"vulns": [found]} if found else {}).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *arguments: object) -> None:
                    pass

            server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/query"

        yield serve


def audit(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "tools.audit", "--osv-url", url, *options, timeout_seconds=120)


def test_packages_without_advisories_pass(service: Serve) -> None:
    result = audit(service({}), "--strict")
    assert result.returncode == 0, result.stderr
    assert "packages, no known vulnerabilities" in result.stdout
    assert "NOT AUDITED" not in result.stdout


def test_a_vulnerable_package_fails(service: Serve) -> None:
    result = audit(service({"django": ADVISORY}))
    assert result.returncode == 1
    assert "GHSA-made-up, fixed in 99.1: A made-up hole." in result.stderr


def test_advisories_that_cannot_be_reached_are_told_loudly() -> None:
    nowhere = "http://127.0.0.1:9/query"
    result = audit(nowhere)
    assert result.returncode == 0, result.stderr
    told = result.stdout.splitlines()
    assert len(told) >= 5
    assert all(line.startswith("!!") for line in told)
    assert "NOT AUDITED" in result.stdout
    assert "no known vulnerabilities" not in result.stdout
    assert audit(nowhere, "--strict").returncode == 1
