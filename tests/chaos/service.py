"""The collection service of a trial: the simulator as a process of its own, which may be killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from apps.launcher.ports import is_port_open
from apps.launcher.processes import ManagedProcess
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.state import SimulatorConfig
from tests.chaos.schedule import WELL
from tests.integration.databases import Databases
from tests.programs import ROOT

_TIMEOUT_SECONDS = 5.0
START_SECONDS = 90.0


class Service:
    """``manage.py simulate_collector``, with the members of a ``Simulator`` that a stack uses."""

    def __init__(self, config: SimulatorConfig, directory: Path, databases: Databases) -> None:
        self.config = config
        self.port = config.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.journal_path = directory / "journal.jsonl"
        self._knobs: Mapping[str, Any] = WELL
        self._starts = 0
        self.process = ManagedProcess(
            [],
            name="service",
            log_path=directory / "service.log",
            env={
                **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "ENV_FILE": "",
                "ENV": "test",
                "MONGO_URI": databases.mongo_uri,
                "REDIS_URI": databases.redis_uri,
                "COLLECT_SERVICE_API_KEY": config.api_key,
                "WEBHOOK_SECRET": config.webhook_secret,
            },
            cwd=ROOT,
        )

    def start(self) -> None:
        """Start it and wait until it responds."""
        self.prepare()
        self.process.start().wait_until_ready(self.is_ready, timeout_seconds=START_SECONDS)

    def prepare(self) -> None:
        """Choose the arguments of its next start: the same knobs, and other random numbers."""
        self._starts += 1
        command = [sys.executable, "manage.py", "simulate_collector", "--port", str(self.port)]
        command += ["--seed", str(self.config.seed + self._starts), "--journal", str(self.journal_path)]
        command += ["--webhook-attempts", "6"]
        for name, value in self._knobs.items():
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                command += [option] if value else []
            else:
                command += [option, str(value)]
        self.process.argv = command

    def behave(self, knobs: Mapping[str, Any]) -> None:
        """Behave so from now on, also after the next start."""
        self._knobs = knobs
        for path, body in (("/knobs/reset", {}), ("/knobs", _all_of(knobs))):
            request = Request(f"{self.url}{path}", json.dumps(body).encode(), method="POST")
            try:
                build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT_SECONDS).close()
            except OSError:
                return  # it is being started anew, with these knobs

    def is_ready(self) -> bool:
        """Whether it responds."""
        return is_port_open(self.port)

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()


def _all_of(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return these knobs and the defaults of the others: the simulator may have been started with others."""
    fixed = {"task_id", "decoy_tasks", "max_page_size"}
    return {name: value for name, value in Knobs().as_dict().items() if name not in fixed} | dict(knobs)
