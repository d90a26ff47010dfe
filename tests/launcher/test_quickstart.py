"""The parts of quickstart that need no running product; the whole is in tests/integration."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import psutil
import pytest

from apps.launcher.ports import url_responds
from apps.launcher.processes import ManagedProcess, ProcessFailedError, ProcessGroup
from apps.launcher.quickstart import QuickstartError
from apps.launcher.quickstart.env_file import EnvFile
from apps.launcher.quickstart.first_figures import last_closed_month
from apps.launcher.quickstart.report import Report
from apps.launcher.quickstart.session import Session
from apps.launcher.quickstart.stack import Prepared, Stack
from tests.parallel import own_port

# Stands for both parts that listen: it does so once it is let go, and answers every address.
LISTENER = """
import http.server, pathlib, sys, time

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

port = int(sys.argv[sys.argv.index("--port") + 1])
while not pathlib.Path("go").exists():
    time.sleep(0.02)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
SECRETS = ["SECRET_KEY", "WEBHOOK_SECRET", "ADMIN_PASSWORD"]


class TestEnvFile:
    def test_a_new_file_is_for_its_owner_only_and_holds_every_secret(self, tmp_path: Path) -> None:
        env_file = EnvFile(tmp_path / ".env", {})
        assert env_file.add_missing_secrets() == SECRETS
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
        assert len(env_file.value("SECRET_KEY")) >= 50
        assert len(env_file.value("WEBHOOK_SECRET")) >= 32
        assert len(env_file.value("ADMIN_PASSWORD")) >= 12

    def test_a_second_call_changes_nothing(self, tmp_path: Path) -> None:
        EnvFile(tmp_path / ".env", {}).add_missing_secrets()
        before = (tmp_path / ".env").read_text()
        assert EnvFile(tmp_path / ".env", {}).add_missing_secrets() == []
        assert (tmp_path / ".env").read_text() == before

    def test_blank_lines_are_filled_and_all_else_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        path.write_text("# mine\nSECRET_KEY=\nMONGO_DB=shop\nADMIN_PASSWORD='given to me'")
        path.chmod(0o640)
        env_file = EnvFile(path, {})
        assert env_file.add_missing_secrets() == ["SECRET_KEY", "WEBHOOK_SECRET"]
        lines = path.read_text().splitlines()
        assert lines[0] == "# mine"
        assert lines[1] == f"SECRET_KEY={env_file.value('SECRET_KEY')}"
        assert lines[2:4] == ["MONGO_DB=shop", "ADMIN_PASSWORD='given to me'"]
        assert env_file.value("ADMIN_PASSWORD") == "given to me"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert list(tmp_path.iterdir()) == [path]

    def test_a_value_in_any_form_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        text = (
            "\ufeffSECRET_KEY = 'mine'  # a comment\r\n  ADMIN_PASSWORD=given to me\r\n"
            'export WEBHOOK_SECRET="also mine"\r\n'
        )
        path.write_bytes(text.encode())
        env_file = EnvFile(path, {})
        assert env_file.add_missing_secrets() == []
        assert path.read_bytes() == text.encode()
        assert env_file.value("ADMIN_PASSWORD") == "given to me"

    @pytest.mark.parametrize("empty", ["", "''", '""'])
    def test_an_empty_value_in_any_form_is_filled(self, tmp_path: Path, empty: str) -> None:
        path = tmp_path / ".env"
        before = f"# mine\r\n\r\n  ADMIN_PASSWORD = {empty}\r\nMONGO_DB=shop\r\n"
        path.write_bytes(before.encode())
        env_file = EnvFile(path, {"SECRET_KEY": "x", "WEBHOOK_SECRET": "x"})
        assert env_file.add_missing_secrets() == ["ADMIN_PASSWORD"]
        password = env_file.value("ADMIN_PASSWORD")
        assert len(password) >= 12
        filled = f"# mine\r\n\r\n  ADMIN_PASSWORD={password}\r\nMONGO_DB=shop\r\n"
        assert path.read_bytes() == filled.encode()

    @pytest.mark.parametrize(
        ("line", "comment"),
        [
            ("ADMIN_PASSWORD=  # set me", "  # set me"),
            ("ADMIN_PASSWORD =\t## set me", "  ## set me"),
            ("ADMIN_PASSWORD= #", "  #"),
            ("ADMIN_PASSWORD= # see #1", "  # see #1"),
            ("ADMIN_PASSWORD=''#set me", "  #set me"),
            ('ADMIN_PASSWORD="" #set me', " #set me"),
        ],
    )
    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_comment_stays_behind_the_value(
        self, tmp_path: Path, line: str, comment: str, end: str
    ) -> None:
        path = tmp_path / ".env"
        path.write_bytes(f"{line}{end}".encode())
        env_file = EnvFile(path, {"SECRET_KEY": "x", "WEBHOOK_SECRET": "x"})
        assert env_file.add_missing_secrets() == ["ADMIN_PASSWORD"]
        password = env_file.value("ADMIN_PASSWORD")
        assert len(password) >= 12
        assert path.read_bytes() == f"ADMIN_PASSWORD={password}{comment}{end}".encode()
        assert env_file.add_missing_secrets() == []

    @pytest.mark.parametrize("name", SECRETS)
    @pytest.mark.parametrize(
        "line", ["{} = #Str0ngPw99", "{}=\t#Str0ngPw99 # mine", "export {}= #Str0ngPw99\n"]
    )
    def test_what_may_be_a_value_is_not_replaced(self, tmp_path: Path, name: str, line: str) -> None:
        path = tmp_path / ".env"
        path.write_text("MONGO_DB=shop\n" + line.format(name))
        with pytest.raises(QuickstartError) as caught:
            EnvFile(path, {}).add_missing_secrets()
        assert f".env line 2: the value of {name} ends before ' #'" in str(caught.value)
        assert "Str0ng" not in str(caught.value)
        assert caught.value.exit_status == 2
        assert path.read_text() == "MONGO_DB=shop\n" + line.format(name)
        others = EnvFile(path, {name: "x"}).add_missing_secrets()
        assert others == [one for one in SECRETS if one != name]

    @pytest.mark.parametrize("name", SECRETS)
    @pytest.mark.parametrize("empty", ["", "  "])
    @pytest.mark.parametrize("text", [None, "", "{}='given to me'\n", "{}=\n", "{}_FILE=/run/secrets/x\n"])
    def test_what_is_empty_in_the_environment_is_told(
        self, tmp_path: Path, name: str, empty: str, text: str | None
    ) -> None:
        path = tmp_path / ".env"
        if text is not None:
            path.write_text(text.format(name))
        with pytest.raises(QuickstartError) as caught:
            EnvFile(path, {name: empty}).add_missing_secrets()
        reported = (
            f"{name} is set but empty in the process environment, so .env cannot set it: unset it there."
        )
        assert reported in str(caught.value)
        assert caught.value.exit_status == 2
        assert path.exists() == (text is not None)
        assert text is None or path.read_text() == text.format(name)

    def test_an_empty_name_of_a_secret_file_does_not_hide_the_file(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("ADMIN_PASSWORD_FILE=/run/secrets/x\n")
        given = {"SECRET_KEY": "x", "WEBHOOK_SECRET": "x", "ADMIN_PASSWORD_FILE": ""}
        assert EnvFile(tmp_path / ".env", given).add_missing_secrets() == []

    @pytest.mark.parametrize("first", ["", "old"])
    def test_of_names_given_twice_the_last_one_has_the_new_value(self, tmp_path: Path, first: str) -> None:
        (tmp_path / ".env").write_text(f"ADMIN_PASSWORD={first}\nADMIN_PASSWORD=")
        env_file = EnvFile(tmp_path / ".env", {"SECRET_KEY": "x", "WEBHOOK_SECRET": "x"})
        assert env_file.add_missing_secrets() == ["ADMIN_PASSWORD"]
        assert env_file.add_missing_secrets() == []
        assert len(env_file.value("ADMIN_PASSWORD")) >= 12

    @pytest.mark.parametrize(
        "content", [b"ADMIN_PASSWORD='s3cret", b"s3cret\n", b"ADMIN_PASSWORD=\xff s3cret"]
    )
    def test_a_file_that_cannot_be_read_is_told_and_left_alone(
        self, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / ".env"
        path.write_bytes(content)
        with pytest.raises(QuickstartError) as caught:
            EnvFile(path, {}).add_missing_secrets()
        assert ".env" in str(caught.value)
        assert "s3cret" not in str(caught.value) + "".join(capfd.readouterr())
        assert path.read_bytes() == content

    def test_what_the_environment_has_is_not_generated(self, tmp_path: Path) -> None:
        given = {"SECRET_KEY": "x" * 50, "WEBHOOK_SECRET_FILE": "/run/secrets/hook", "OTHER": "  "}
        assert EnvFile(tmp_path / ".env", given).add_missing_secrets() == ["ADMIN_PASSWORD"]

    def test_the_environment_comes_before_the_file(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("MONGO_URI=mongodb://file\nREDIS_URI=redis://file\n")
        env_file = EnvFile(tmp_path / ".env", {"MONGO_URI": "mongodb://environment"})
        assert env_file.value("MONGO_URI") == "mongodb://environment"
        assert env_file.is_set("REDIS_URI")
        assert not env_file.is_set("COLLECT_SERVICE_URL")


class TestLogin:
    @pytest.mark.parametrize(
        ("is_admin_new", "is_password_new", "is_shown"),
        [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
    )
    def test_only_a_password_that_was_generated_is_shown(
        self, capsys: pytest.CaptureFixture[str], is_admin_new: bool, is_password_new: bool, is_shown: bool
    ) -> None:
        prepared = Prepared(
            categories=1,
            are_categories_new=False,
            admin_path="admin/",
            username="boss",
            password="s3cret",
            is_admin_new=is_admin_new,
            is_password_new=is_password_new,
        )
        Report().login(prepared)
        reported = capsys.readouterr().out
        assert ("s3cret" in reported) == is_shown
        assert "ADMIN_PASSWORD" in reported


class TestSession:
    def test_a_second_session_is_refused_with_the_process_of_the_first(self, tmp_path: Path) -> None:
        with (
            Session(tmp_path / "new"),
            pytest.raises(QuickstartError, match=rf"already running in this clone \(process {os.getpid()}\)"),
            Session(tmp_path / "new"),
        ):
            pass
        with Session(tmp_path / "new"):
            pass

    def test_what_a_killed_session_left_running_is_ended(self, tmp_path: Path) -> None:
        left = ManagedProcess(
            [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
            name="worker",
            log_path=tmp_path / "worker.log",
        )
        with Session(tmp_path) as session:
            left.start().wait_until_ready(lambda: "up" in left.log_text())
            session.remember(left)
            state = (tmp_path / "quickstart.json").read_text()
        (tmp_path / "quickstart.json").write_text(state)  # as if the session had been killed
        with Session(tmp_path) as session:
            assert session.end_leftovers() == ["worker"]
        assert not left.is_alive()

    def test_a_process_that_got_the_same_id_is_left_alone(self, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
            created_at = psutil.Process(stranger.pid).create_time() - 3600
            entry = {"name": "worker", "pid": stranger.pid, "created_at": created_at}
            (tmp_path / "quickstart.json").write_text(json.dumps([entry]))
            with Session(tmp_path) as session:
                assert session.end_leftovers() == []
            assert stranger.poll() is None
            stranger.communicate(b"\n")

    @pytest.mark.parametrize("content", ["", "[", "{}", "null", '["x"]', '[{"pid": "x"}]', '[{"pid": -5}]'])
    def test_a_broken_state_file_is_ignored(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "quickstart.json").write_text(content)
        with Session(tmp_path) as session:
            assert session.end_leftovers() == []


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (datetime(2026, 11, 23, 12, tzinfo=UTC), "2026-10"),
        (datetime(2026, 1, 15, tzinfo=UTC), "2025-12"),
        (datetime(2024, 3, 31, 15, 59, tzinfo=UTC), "2024-02"),
        (datetime(2024, 3, 31, 16, 0, tzinfo=UTC), "2024-03"),  # already April in Shanghai
    ],
)
def test_last_closed_month_is_the_markets(now: datetime, month: str) -> None:
    assert last_closed_month(now) == month


class AlwaysOK(BaseHTTPRequestHandler):
    """Answers as any other program might."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def take_port() -> Iterator[Callable[[str], None]]:
    """Return what makes another program listen on the port of an address, and answer there."""
    with ExitStack() as closing:

        def take(url: str) -> None:
            server = ThreadingHTTPServer(("127.0.0.1", urlsplit(url).port or 0), AlwaysOK)
            closing.callback(server.server_close)
            closing.callback(server.shutdown)
            Thread(target=server.serve_forever, daemon=True).start()

        yield take


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "manage.py").write_text(LISTENER)
    with Session(tmp_path / ".local") as session, ProcessGroup() as processes:
        env_file = EnvFile(tmp_path / ".env", {})
        yield Stack(root=tmp_path, env_file=env_file, session=session, processes=processes, port=own_port())


class TestPorts:
    @pytest.mark.parametrize("lost", [("simulator",), ("web",), ("simulator", "web")], ids="+".join)
    def test_a_port_taken_by_another_program_before_we_listen_is_exchanged(
        self, stack: Stack, tmp_path: Path, take_port: Callable[[str], None], lost: tuple[str, ...]
    ) -> None:
        stack.start_web()
        assert stack.simulator_url is not None
        before = {"simulator": stack.simulator_url, "web": stack.web_url}
        for name in lost:
            take_port(before[name])
        (tmp_path / "go").touch()
        stack.wait_until_ready()
        stack.check()
        after = {"simulator": stack.simulator_url, "web": stack.web_url}
        for name in lost:
            assert after[name] != before[name]
            port = urlsplit(before[name]).port
            reported = [note for note in stack.notes if note.startswith(f"Port {port} is taken")]
            assert name == "simulator" or len(reported) == 1
        script = (tmp_path / ".local" / "env.sh").read_text()
        assert f"COLLECT_SERVICE_URL={after['simulator']}\n" in script
        assert f"APP_BASEURL={after['web']}\n" in script
        assert all(url_responds(url) for url in after.values())

    def test_a_part_that_fails_for_another_reason_is_told(self, stack: Stack, tmp_path: Path) -> None:
        (tmp_path / "manage.py").write_text("raise SystemExit('broken')")
        stack.start_web()
        with pytest.raises(ProcessFailedError, match="broken"):
            stack.wait_until_ready()
