"""The rules and dashboards in ``deploy``, and a real Prometheus that reads a server of ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from apps.launcher.processes import ManagedProcess
from tests.http import NO_CERTIFICATES
from tests.integration.waiting import wait_until
from tests.missing import leave_out
from tests.parallel import own_port
from tests.programs import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULES_TEST = RULES.with_name("rules_test.yaml")
CONFIGURATION = RULES.with_name("prometheus.yaml")
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
# A metric of ours with its matchers, not a recorded series (their names have colons).
SELECTOR = re.compile(r"(?<![\w:])(collector_\w+)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)")
# What Grafana puts in; several scrapes of the tests are within it.
RATE_INTERVAL = "1m"
Json = dict[str, Any]


def program(name: str) -> str:
    """The path of a program of Debian's package prometheus."""
    found = shutil.which(name)
    return found or leave_out(f"{name} is not installed (Debian's package prometheus)")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@cache
def rules() -> list[Json]:
    """All rules, of all groups."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[Json]:
    return [rule for rule in rules() if "alert" in rule]


def dashboard(path: Path) -> Json:
    loaded: Json = json.loads(path.read_text("utf-8"))
    return loaded


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """The queries of a dashboard, each with the title of its panel, as Grafana sends them."""
    for panel in dashboard(path)["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", RATE_INTERVAL)


class Prometheus:
    """A Prometheus that reads one target every second; a context manager."""

    def __init__(self, directory: Path, *, target: str, token: str) -> None:
        token_path, path = directory / "token", directory / "prometheus.yaml"
        token_path.write_text(token)
        configuration = yaml.safe_load(CONFIGURATION.read_text())
        del configuration["alerting"]
        configuration["global"] = {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        }
        configuration["rule_files"] = [str(RULES)]
        (job,) = configuration["scrape_configs"]
        job["scrape_timeout"] = "1s"
        job["authorization"]["credentials_file"] = str(token_path)
        job["static_configs"] = [{"targets": [target]}]
        path.write_text(yaml.safe_dump(configuration))
        address = f"127.0.0.1:{own_port()}"
        self._process = ManagedProcess(
            [
                program("prometheus"),
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={address}",
            ],
            name="prometheus",
            log_path=directory / "prometheus.txt",
        )
        self._client = httpx.Client(
            base_url=f"http://{address}/api/v1", trust_env=False, verify=NO_CERTIFICATES, timeout=10
        )
        self._url = f"http://{address}"

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_until_ready(f"{self._url}/-/ready", timeout_seconds=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.stop()

    def query(self, expression: str) -> list[Json]:
        """Return the series of an expression now; an error of it fails the test."""
        answer = self._client.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[Json] = answer["data"]["result"]
        return found

    def rules(self) -> list[Json]:
        """The rules, with what came out of their last evaluation."""
        groups = self._client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for_scrapes(self, count: int) -> None:
        """Wait until there were so many scrapes."""
        wait_until(
            lambda: any(
                float(one["value"][1]) >= count
                for one in self.query('count_over_time(collector_up{dependency="redis"}[5m])')
            ),
            timeout_seconds=30,
            what=f"{count} scrapes",
        )
