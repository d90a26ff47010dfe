"""nginx with the shipped configuration, in front of a real `manage.py serve` with the image's environment."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.core.api.envelope import error_body
from apps.core.errors import ErrorCode
from apps.launcher.ports import is_port_open
from apps.launcher.processes import ManagedProcess, ProcessGroup
from tests.deploy.files import DEPLOY, FILLED, service_environment
from tests.http import METRICS_HEADERS
from tests.integration.waiting import wait_until
from tests.missing import leave_out
from tests.parallel import own_port
from tests.programs import ROOT

CONFIGURATION = (DEPLOY / "nginx" / "mengla.conf").read_text()
MAIN = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include mengla.conf;
}
"""
SUBJECT = ("-subj", "/CN=mengla.example.com", "-addext", "subjectAltName=DNS:mengla.example.com")
HOST = {"Host": FILLED["HOST_NAME"]}
WEBHOOK = "/api/webhook/mengla-notify"
MB = 1024 * 1024


@dataclass(frozen=True)
class Site:
    """The addresses of one nginx, and how to ask it."""

    https: int
    http: int
    client: httpx.Client
    log: Path

    def accessed(self) -> list[dict[str, object]]:
        """The access lines of the web server behind it."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == "request"]


def write_configuration(directory: Path, upstream: str, *, https: int, http: int) -> None:
    """Write what nginx reads: the shipped files with other ports, a certificate, and short times."""
    text = CONFIGURATION.replace("listen 80;", f"listen 127.0.0.1:{http};")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;")
    text = re.sub(r"(?m)^ *listen \[::\].*\n", "", text)
    text = re.sub(r"(client_(?:header|body)_timeout) 10s", r"\1 1s", text)
    (directory / "mengla.conf").write_text(text)
    (directory / "mengla-upstream.conf").write_text(upstream)
    (directory / "nginx.conf").write_text(MAIN)
    tls = directory / "tls"
    tls.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "1", *SUBJECT, "-keyout", tls / "privkey.pem", "-out", tls / "fullchain.pem"),
        ],
        check=True,
        capture_output=True,
    )


def find_nginx() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None or shutil.which("openssl") is None:
        leave_out("nginx or openssl is not installed: apt-get install nginx-light openssl")
    return found


def start_nginx(directory: Path, upstream: str) -> tuple[ManagedProcess, int, int]:
    """Start nginx with these upstreams, in this directory; return it with its two ports."""
    https, http = own_port(), own_port()
    write_configuration(directory, upstream, https=https, http=http)
    command = [find_nginx(), "-p", f"{directory}/", "-c", "nginx.conf"]
    server = ManagedProcess(command, name="nginx", log_path=directory / "nginx.log")
    server.start().wait_until_ready(lambda: is_port_open(https))
    return server, https, http


@contextmanager
def client_of(directory: Path, https: int) -> Iterator[httpx.Client]:
    """A client that trusts the certificate and has the name of the installation in every request."""
    context = ssl.create_default_context(cafile=directory / "tls" / "fullchain.pem")
    context.check_hostname = False  # it connects to 127.0.0.1
    with httpx.Client(
        base_url=f"https://127.0.0.1:{https}", headers=HOST, verify=context, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A web server in production, whose MongoDB and Redis are down, behind nginx.

    Beside it the upstreams have a server that is down, as while it is restarted.
    """
    find_nginx()
    directory = tmp_path_factory.mktemp("nginx")
    port, dead = own_port(), own_port()
    environment = service_environment("web") | {
        "MONGO_URI": "mongodb://127.0.0.1:1/?replicaSet=rs0",
        "REDIS_URI": "redis://127.0.0.1:1/0",
        "TRUSTED_PROXIES": "127.0.0.1",
        "METRICS_TOKEN": METRICS_HEADERS["Authorization"].removeprefix("Bearer "),
        "WEB_WORKERS": "1",
        "TMPDIR": str(directory),
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    upstream = (DEPLOY / "nginx" / "mengla-upstream.conf").read_text()
    line = "    server 127.0.0.1:8000 max_fails=0;\n"
    assert upstream.count(line) == 2
    upstream = upstream.replace(line, line.replace("8000", str(dead)) + line.replace("8000", str(port)))
    with ProcessGroup() as processes:
        log = directory / "serve.log"
        command = [sys.executable, "manage.py", "serve", "--port", str(port)]
        web = processes.start(ManagedProcess(command, name="serve", log_path=log, env=environment, cwd=ROOT))
        nginx, https, http = start_nginx(directory, upstream)
        processes.add(nginx)
        web.wait_until_ready(f"http://127.0.0.1:{port}/health", timeout_seconds=60)
        with client_of(directory, https) as client:
            yield Site(https, http, client, log)


@pytest.mark.parametrize("name", ["nginx/mengla-upstream.conf", "compose/upstream.conf"])
def test_nginx_accepts_it_without_a_word(name: str, tmp_path: Path) -> None:
    nginx = find_nginx()
    upstream = (DEPLOY / name).read_text().replace("server web:", "server 127.0.0.1:")
    write_configuration(tmp_path, upstream, https=own_port(), http=own_port())
    command = [nginx, "-t", "-q", "-p", f"{tmp_path}/", "-c", "nginx.conf"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_times_are_those_of_the_manual() -> None:
    for setting in ("client_header_timeout 10s;", "client_body_timeout 10s;", "client_max_body_size 20m;"):
        assert setting in CONFIGURATION
    # The product sends the security headers, once.
    assert re.findall(r"add_header (\S+)", CONFIGURATION) == ["Retry-After"]


@pytest.mark.slow
class TestRunning:
    def test_each_request_finds_the_server_that_lives(self, site: Site) -> None:
        """nginx tries the dead one again and again; no request may notice it."""
        assert {site.client.get("/health").status_code for _ in range(10)} == {200}
        sent = [site.client.post(WEBHOOK, json={}) for _ in range(10)]
        assert {answer.headers["server"] for answer in sent} == {"nginx"}
        assert 502 not in {answer.status_code for answer in sent}

    def test_the_product_knows_who_asks_and_that_it_was_by_https(self, site: Site) -> None:
        answer = site.client.get("/admin/login/", headers={"X-Forwarded-For": "203.0.113.7"})
        assert answer.status_code in (200, 503)  # not a redirect to https
        wait_until(
            lambda: any(line["path"] == "/admin/login/" for line in site.accessed()),
            timeout_seconds=20,
            what="its line is written",
        )
        found = {line["path"]: line["address"] for line in site.accessed()}
        assert found["/admin/login/"] == "203.0.113.7"
        assert len(answer.headers.get_list("strict-transport-security")) == 1
        assert answer.headers.get_list("x-frame-options") == ["DENY"]
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]

    def test_pages_are_redirected_to_https_and_the_api_refuses_http(self, site: Site) -> None:
        page = httpx.get(f"http://127.0.0.1:{site.http}/admin/data/?a=b", headers=HOST)
        assert page.status_code == 308
        assert page.headers["location"] == "https://mengla.example.com/admin/data/?a=b"
        login = httpx.post(f"http://127.0.0.1:{site.http}/api/auth/login", headers=HOST, json={})
        assert (login.status_code, login.text) == (403, "Use https.\n")

    @pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics"])
    def test_metrics_are_not_public(self, path: str, site: Site) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        token = METRICS_HEADERS["Authorization"]
        status, _ = raw(
            site, f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        )
        assert status == 404

    def test_the_largest_webhook_passes_and_a_larger_one_does_not(self, site: Site) -> None:
        largest, larger = b" " * 20 * MB, b" " * (20 * MB + 1)
        answers = [site.client.post(WEBHOOK, content=body) for body in (largest, larger)]
        assert "x-request-id" in answers[0].headers  # from the product, whatever it says
        assert answers[0].status_code != 413
        assert answers[1].status_code == 413
        assert "x-request-id" not in answers[1].headers
        assert answers[1].json() == error_body(ErrorCode.PAYLOAD_TOO_LARGE, "The body is too large.")

    def test_the_longest_url_passes(self, site: Site) -> None:
        status, answer = raw(
            site, f"GET /health?{'a' * 65_000} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert (status, answer.endswith(b'{"status": "ok"}')) == (200, True)

    @pytest.mark.parametrize(
        "begun",
        [
            "GET /stops/in/head HTTP/1.1\r\nHost: ",
            "POST /stops/in/body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12",
        ],
        ids=["headers", "body"],
    )
    def test_a_client_that_stops_sending_is_disconnected(self, begun: str, site: Site) -> None:
        """Not one byte of its request reaches the product."""
        status, _ = raw(site, begun)
        assert status in (0, 408)
        assert not [line for line in site.accessed() if str(line["path"]).startswith("/stops/")]


def test_the_api_keeps_its_envelope_when_no_server_responds(tmp_path: Path) -> None:
    upstream = (DEPLOY / "nginx" / "mengla-upstream.conf").read_text()
    nginx, https, _ = start_nginx(tmp_path, upstream.replace("127.0.0.1:8000", f"127.0.0.1:{own_port()}"))
    try:
        with client_of(tmp_path, https) as client:
            for answer in (client.get("/api/mengla"), client.get("/api/mengla/export"), client.post(WEBHOOK)):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == "application/json"
                expected = error_body(ErrorCode.DEPENDENCY_UNAVAILABLE, "No web server responds.")
                assert answer.json() == expected
            assert client.get("/admin/").status_code == 502
    finally:
        nginx.stop(5)


def raw(site: Site, request: str) -> tuple[int, bytes]:
    """Send bytes, and read until nginx closes; return the status (0 without a response) and the whole."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", site.https), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="mengla.example.com") as connection,
    ):
        connection.sendall(request.encode())
        received = bytearray()
        try:
            while block := connection.recv(65_536):
                received += block
        except ConnectionResetError:
            pass
    return int(received.split()[1]) if received else 0, bytes(received)
