"""The running product: databases, simulator, worker and web server, started in this order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.launcher.embedded import EmbeddedServer, start_mongo, start_redis
from apps.launcher.ports import free_port, is_listening, listen_problem, url_responds
from apps.launcher.processes import ManagedProcess, ProcessFailedError, ProcessGroup, bound_to_parent
from apps.launcher.quickstart import QuickstartError
from apps.launcher.quickstart.env_file import EnvFile
from apps.launcher.quickstart.session import Session

MONGO_PORT = 27117
REDIS_PORT = 26379
SIMULATOR_PORT = 9000
WEBHOOK_PATH = "/api/webhook/mengla-notify"
# What a command needs to use the same servers as the running parts.
SHARED_VARIABLES = (
    "MONGO_URI",
    "REDIS_URI",
    "COLLECT_SERVICE_URL",
    "COLLECT_SERVICE_API_KEY",
    "APP_BASEURL",
    "MENGLA_WEBHOOK_URL",
)
PREPARE_TIMEOUT_SECONDS = 900
START_TIMEOUT_SECONDS = 90.0
PORT_ATTEMPTS = 3
LOG_LINES = 15
MAX_RESTARTS = 10
NO_CHECKS = "--skip-checks"  # `prepare` runs Django's checks once for all parts


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the database holds before the product starts."""

    categories: int
    are_categories_new: bool
    admin_path: str  # without a slash at its beginning
    username: str
    password: str
    is_admin_new: bool
    is_password_new: bool  # quickstart has generated it


class Stack:
    """Starts the parts one by one; ``processes`` stops them in the reverse order."""

    def __init__(
        self, *, root: Path, env_file: EnvFile, session: Session, processes: ProcessGroup, port: int
    ) -> None:
        self.root = root
        self.local = root / ".local"
        self.logs = self.local / "logs"
        self.notes: list[str] = []
        self.processes = processes
        self.web_url = ""
        self.simulator_url: str | None = None
        self._wanted_port = port
        self._env_file = env_file
        self._session = session
        self._environment = self._base_environment()
        self._simulator: ManagedProcess | None = None
        self._web: ManagedProcess | None = None
        self._restarts = 0
        self.logs.mkdir(parents=True, exist_ok=True)
        for log in self.logs.glob("*.log"):
            os.truncate(log, 0)

    @property
    def has_own_database(self) -> bool:
        """Whether quickstart itself has started the MongoDB."""
        return not self._env_file.is_set("MONGO_URI")

    def start_databases(self) -> list[str]:
        """Start MongoDB and Redis unless the environment names them; return a few words about each."""
        starts: dict[str, Callable[[], EmbeddedServer]] = {
            "MONGO_URI": lambda: start_mongo(
                self.local / "mongo", port=MONGO_PORT, log_path=self.logs / "mongodb.log"
            ),
            "REDIS_URI": lambda: start_redis(
                self.local / "redis", port=REDIS_PORT, log_path=self.logs / "redis.log"
            ),
        }
        sentences = []
        for variable, start in starts.items():
            if self._env_file.is_set(variable):
                sentences.append(f"from {variable}")
                continue
            server = self.processes.add(start())
            self._environment[variable] = server.uri
            self.notes += [server.note] if server.note else []
            sentences.append(f"embedded, port {server.port}{', still running' if server.reused else ''}")
        return sentences

    def prepare(self, *, has_new_password: bool) -> Prepared:
        """Migrate, import the sample tree into an empty database, ensure the admin and the schedules."""
        log_path = self.logs / "prepare.log"
        # A forgotten password may be replaced only in a database that quickstart has started.
        may_set_password = has_new_password and self.has_own_database
        options = ["--set-admin-password"] if may_set_password else []
        with log_path.open("ab") as log:
            result = subprocess.run(
                bound_to_parent([sys.executable, "-m", "apps.launcher.quickstart.prepare", *options]),
                cwd=self.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # only quickstart handles a Ctrl-C
                timeout=PREPARE_TIMEOUT_SECONDS,
                check=False,
            )
        if result.returncode != 0:
            tail = "\n".join(log_path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
            raise QuickstartError(
                f"The database could not be prepared. Log: {log_path}\n{tail}",
                exit_status=2 if result.returncode == 2 else 1,  # noqa: PLR2004
            )
        done: dict[str, Any] = json.loads(result.stdout)
        self.notes += done["notes"]
        return Prepared(
            categories=done["categories"],
            are_categories_new=done["categories_imported"],
            admin_path=done["admin_path"],
            username=done["admin"]["username"],
            password=done["admin"]["password"],
            is_admin_new=done["admin"]["created"],
            is_password_new=has_new_password,
        )

    def start_web(self) -> None:
        """Start the web server and, if no collection service is set, the simulator; do not wait for them."""
        self.web_url = f"http://127.0.0.1:{self._port('the web server', self._wanted_port)}"
        if not (self._env_file.is_set("APP_BASEURL") or self._env_file.is_set("MENGLA_WEBHOOK_URL")):
            self._environment["APP_BASEURL"] = self.web_url
        if not self._env_file.is_set("COLLECT_SERVICE_URL"):
            port = self._port("the simulator", SIMULATOR_PORT)
            self.simulator_url = f"http://127.0.0.1:{port}"
            self._environment |= self._simulator_environment(self.simulator_url)
            self._simulator = self._start("simulator", "simulate_collector", "--port", str(port))
        web_port = str(_port_of(self.web_url))
        self._web = self._start("web", "serve", "--host", "127.0.0.1", "--port", web_port, NO_CHECKS)

    def start_worker(self) -> None:
        """Start the worker without waiting for it.

        It is started last: it reads the database at once and needs the final ports of the other parts.
        """
        self._start("worker", "qcluster", NO_CHECKS)

    def wait_until_ready(self) -> None:
        """Wait until the simulator and the web server are ready; write the script for other shells.

        Another program may take a chosen port before the part listens on it. Then both parts are restarted
        on other ports.

        :raises ProcessFailedError: when a part ends or is not ready in time.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                for process, url in self._listeners():
                    process.wait_until_ready(_probe_of(process, url), timeout_seconds=START_TIMEOUT_SECONDS)
                break
            except ProcessFailedError:
                if attempt == PORT_ATTEMPTS or not self._has_lost_a_port():
                    raise
                for process, _url in self._listeners():
                    self.processes.end(process)
                self.start_web()
        self._session.write_env_script(
            {name: self._environment[name] for name in SHARED_VARIABLES if name in self._environment}
        )

    def check(self) -> None:
        """Check that all parts are running.

        :raises ProcessFailedError: when a part has ended by itself.
        :raises QuickstartError: when that part is an embedded server.
        """
        dead = self.processes.first_dead()
        if isinstance(dead, ManagedProcess):
            raise dead.failure("has ended by itself")
        if dead is not None:
            raise QuickstartError(f"{dead.name} has ended by itself. Log: {self.logs}")

    def restart_killed(self) -> str | None:
        """Restart a part that was killed, as a process manager does; return its name, or None.

        After ``MAX_RESTARTS`` restarts a killed part is not restarted, and :meth:`check` reports it.
        """
        dead = self.processes.first_dead()
        if not isinstance(dead, ManagedProcess) or dead.returncode != -signal.SIGKILL:
            return None
        if self._restarts >= MAX_RESTARTS:
            return None
        self._restarts += 1
        dead.kill()  # what is left of its process group
        dead.start()
        self._session.remember(dead)
        return dead.name

    def log_tail(self, name: str) -> str:
        """Return the last lines of the log of a part, with its path."""
        path = self.logs / f"{name}.log"
        lines = path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:] if path.is_file() else []
        return "\n".join([f"Log: {path}", *(f"    {line}" for line in lines)])

    def _start(self, name: str, *command: str) -> ManagedProcess:
        process = ManagedProcess(
            [sys.executable, "manage.py", *command],
            name=name,
            log_path=self.logs / f"{name}.log",
            env=self._environment,
            cwd=self.root,
        )
        self.processes.start(process)
        self._session.remember(process)
        return process

    def _listeners(self) -> list[tuple[ManagedProcess, str]]:
        """Return the parts that listen, each with an address that responds once it is ready."""
        parts = ((self._simulator, f"{self.simulator_url}/stats"), (self._web, f"{self.web_url}/health"))
        return [(process, url) for process, url in parts if process is not None]

    def _has_lost_a_port(self) -> bool:
        return any(
            not process.is_alive() and listen_problem(_port_of(url)) is not None
            for process, url in self._listeners()
        )

    def _port(self, owner: str, wanted: int) -> int:
        port = free_port(wanted)
        taken = f"Port {wanted} is taken, so {owner} listens on"
        self.notes = [note for note in self.notes if not note.startswith(taken)]
        if port != wanted:
            self.notes.append(f"{taken} {port} instead.")
        return port

    def _base_environment(self) -> dict[str, str]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
        }
        if not environment.get("ENV_FILE"):
            environment.pop("ENV_FILE", None)  # an empty value would mean: read no file
        local = "127.0.0.1,localhost"
        for name in ("NO_PROXY", "no_proxy"):
            environment[name] = f"{environment[name]},{local}" if environment.get(name) else local
        return environment

    def _simulator_environment(self, url: str) -> dict[str, str]:
        environment = {
            "COLLECT_SERVICE_URL": url,
            "APP_BASEURL": self.web_url,
            "MENGLA_WEBHOOK_URL": f"{self.web_url}{WEBHOOK_PATH}",
        }
        if not self._env_file.is_set("COLLECT_SERVICE_API_KEY"):
            environment["COLLECT_SERVICE_API_KEY"] = "simulator"
        return environment


def _probe_of(process: ManagedProcess, url: str) -> Callable[[], bool]:
    """Return a probe that tells whether this part, and not another program on its port, responds."""
    return lambda: is_listening(process.pid, _port_of(url)) and url_responds(url)


def _port_of(url: str) -> int:
    return urlsplit(url).port or 0
