"""What the tests of the panels share."""

from __future__ import annotations

from typing import Any

CONFIG = "/api/panel-config"
DEFAULTS = {
    "modules": [
        {"id": "overview", "name": "行业总览", "enabled": True, "order": 0, "props": {}},
        {"id": "high", "name": "蓝海Top行业", "enabled": True, "order": 1, "props": {}},
        {"id": "hot", "name": "热销Top行业", "enabled": True, "order": 2, "props": {}},
        {"id": "chance", "name": "潜力Top行业", "enabled": True, "order": 3, "props": {}},
    ],
    "layout": {"defaultPeriod": "month", "showRankPeriodSelector": True},
    "version": 1,
}


def data_of(response: Any, status: int = 200) -> Any:
    body = response.json()
    assert response.status_code == status, body
    assert set(body) == {"success", "data", "message"}
    return body["data"]


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert (body["success"], body["error"]) == (False, code)
    assert len(response.content) < 2000, "an error does not repeat a huge input"
    return body
