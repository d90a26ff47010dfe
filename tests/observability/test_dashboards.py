"""The dashboards of Grafana: sound in structure, and the same in both languages."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.prometheus import DASHBOARDS, Json, dashboard
from tests.programs import ROOT

WIDTH = 24
TEXTS = frozenset({"title", "description", "text", "legendFormat", "uid", "label"})
CHINESE = re.compile(r"[\u4e00-\u9fff]")
KINDS = {"row", "stat", "timeseries", "table", "state-timeline"}


def without_texts(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_texts(value) for key, value in node.items() if key not in TEXTS}
    return [without_texts(one) for one in node] if isinstance(node, list) else node


def overlap(one: Json, other: Json) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_is_sound(path: Path) -> None:
    loaded = dashboard(path)
    panels = loaded["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids)) > 20
    assert {panel["type"] for panel in panels} == KINDS
    for panel in panels:
        place = panel["gridPos"]
        assert min(place.values()) >= 0 and place["x"] + place["w"] <= WIDTH, panel["title"]
        assert panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["description"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in sources)
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters)) >= 1
    pairs = combinations([panel["gridPos"] for panel in panels], 2)
    assert not any(overlap(*pair) for pair in pairs)
    assert [one["name"] for one in loaded["templating"]["list"]] == ["datasource"]


def test_both_languages_show_the_same() -> None:
    english, chinese = map(dashboard, DASHBOARDS)
    assert [path.name for path in DASHBOARDS] == ["mengla.json", "mengla.zh-CN.json"]
    assert without_texts(english) == without_texts(chinese)
    assert english["uid"] != chinese["uid"]
    for panel in chinese["panels"]:
        if panel["title"] != "Webhook":
            assert CHINESE.search(panel["title"]), panel["title"]


def test_the_provisioning_files_are_yaml() -> None:
    files = sorted((ROOT / "deploy" / "grafana" / "provisioning").glob("*.yaml"))
    assert [path.name for path in files] == ["dashboards.yaml", "datasources.yaml"]
    assert all(yaml.safe_load(path.read_text())["apiVersion"] == 1 for path in files)
