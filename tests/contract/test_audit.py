"""``.ci/audit``: a vulnerable package fails, and advisories that cannot be reached are told loudly."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.programs import run_python
from tools.audit import main
from tools.locks import all_locks

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
Audit = Callable[..., tuple[str | int | None, str]]


@pytest.fixture
def service() -> Iterator[Serve]:
    """Starts a service like OSV that has these advisories by package, and returns its address."""
    with ExitStack() as stack:

        def serve(advisories: dict[str, object]) -> str:
            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                disable_nagle_algorithm = True  # each body would wait for an acknowledgement

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


@pytest.fixture
def audit_django(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Audit:
    """Audits a lock of one package; returns what ends the command, if anything does, and what it prints.

    To read all of them takes pip-audit seconds.
    """
    product = all_locks()[0]
    entries = re.split(r"^(?=[a-z0-9])", product.path.read_text(), flags=re.MULTILINE)
    (tmp_path / "lock.txt").write_text(next(one for one in entries if one.startswith("django==")))
    monkeypatch.setattr("tools.audit.all_locks", lambda: [replace(product, path=tmp_path / "lock.txt")])

    def audit(url: str, *options: str) -> tuple[str | int | None, str]:
        monkeypatch.setattr("sys.argv", [".ci/audit", "--osv-url", url, *options])
        ended = None
        try:
            main()
        except SystemExit as error:
            ended = error.code
        return ended, capsys.readouterr().out

    return audit


def test_packages_without_advisories_pass(service: Serve) -> None:
    """All that are locked."""
    command = ("-m", "tools.audit", "--osv-url", service({}), "--strict")
    result = run_python(*command, timeout_seconds=120)
    assert result.returncode == 0, result.stderr
    assert "packages, no known vulnerabilities" in result.stdout
    assert "NOT AUDITED" not in result.stdout


def test_a_vulnerable_package_fails(service: Serve, audit_django: Audit) -> None:
    ended, _ = audit_django(service({"django": ADVISORY}))
    assert isinstance(ended, str)  # which Python prints, and exits with 1
    assert "GHSA-made-up, fixed in 99.1: A made-up hole." in ended


def test_advisories_that_cannot_be_reached_are_told_loudly(audit_django: Audit) -> None:
    nowhere = "http://127.0.0.1:9/query"
    ended, printed = audit_django(nowhere)
    assert ended is None
    told = printed.splitlines()
    assert len(told) >= 5
    assert all(line.startswith("!!") for line in told)
    assert "NOT AUDITED" in printed
    assert "no known vulnerabilities" not in printed
    assert audit_django(nowhere, "--strict")[0] == "The audit is incomplete."
