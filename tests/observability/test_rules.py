"""The rules of Prometheus are valid, tested, and lead to a section of the manual."""

from __future__ import annotations

import re

import yaml

from tests.observability.prometheus import (
    CONFIGURATION,
    RULES,
    RULES_TEST,
    alerts,
    promtool,
    rules,
)
from tests.programs import ROOT

SEVERITIES = {"critical", "warning", "info"}
HEADING = re.compile(r"^#{2,4} (.+)$", re.MULTILINE)


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for arguments in (
        ("check", "rules", "--lint=all", "--lint-fatal", RULES),
        ("check", "config", "--syntax-only", CONFIGURATION),
    ):
        ended = promtool(*arguments)
        assert ended.returncode == 0, ended.stderr


def test_the_rules_fire_when_they_should() -> None:
    ended = promtool("test", "rules", RULES_TEST)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    cases = [
        case for one in yaml.safe_load(RULES_TEST.read_text())["tests"] for case in one["alert_rule_test"]
    ]
    names = {alert["alert"] for alert in alerts()}
    assert len(names) == len(alerts()) > 20
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_every_alert_says_how_bad_it_is_and_where_to_look() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(page)}
    for alert in alerts():
        severity = alert.get("labels", {}).get("severity")
        # The severity of this one is that of the alert of the product.
        assert severity in SEVERITIES or alert["alert"] == "CollectorAlertFiring", alert
        assert set(alert["annotations"]) == {"summary", "runbook"}, alert
        path, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (path, anchor in anchors) == ("docs/operations.md", True), alert


def test_the_manual_lists_every_alert_with_its_severity() -> None:
    for name in ("operations.md", "operations.zh-CN.md"):
        page = (ROOT / "docs" / name).read_text()
        for alert in alerts():
            severity = alert.get("labels", {}).get("severity", "")
            assert f"| `{alert['alert']}` | {severity}" in page, (name, alert["alert"])


def test_a_recorded_series_is_used() -> None:
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    expressions = " ".join(rule["expr"] for rule in rules())
    unused = {name for name in recorded if name not in expressions}
    assert unused <= {"collector:read_seconds:p50_5m"}, "for dashboards of operators"
