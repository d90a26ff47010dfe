"""The outcome of one execution, decided when it is accepted, and the bodies of its webhooks."""

from __future__ import annotations

import codecs
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import orjson

from apps.mengla.simulator.data import empty_result, result_of
from apps.mengla.simulator.knobs import EMPTY_KINDS, GARBAGE_KINDS, Knobs
from apps.mengla.simulator.query import Query

FAILURE_MESSAGE = "浏览器任务执行失败 (simulated failure)"

_HTML = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    "<body><h1>502 Bad Gateway</h1><!-- simulated --></body></html>"
)


@dataclass(frozen=True, slots=True)
class Message:
    """The body of one webhook."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The outcome of one execution: a pure function of seed, request number and knobs."""

    knobs: Knobs
    run_seconds: float
    is_dropped: bool
    is_failed: bool
    is_duplicated: bool
    has_wrong_signature: bool
    garbage_kind: str | None
    empty_kind: str | None

    @property
    def result_kind(self) -> str:
        """What ends the execution: ``garbage``, ``failure``, ``empty`` or ``figures``."""
        if self.garbage_kind is not None:
            return "garbage"
        if self.is_failed:
            return "failure"
        return "figures" if self.empty_kind is None else "empty"

    def heartbeat(self, execution_id: str, number: int) -> Message:
        """Return the webhook that says the execution has not ended; number 0 is the first one."""
        return self._json({"executionId": execution_id, "status": "running" if number else "queued"})

    def result(self, query: Query, execution_id: str) -> Message:
        """Return the webhook that ends the execution: figures, an empty result, a failure or garbage."""
        if self.garbage_kind is not None:
            return _garbage(self.garbage_kind, execution_id)
        if self.is_failed:
            return self._json(
                {
                    "executionId": execution_id,
                    "status": "failed",
                    "error": FAILURE_MESSAGE,
                    "message": FAILURE_MESSAGE,
                    "resultData": None,
                }
            )
        result: dict[str, Any]
        if self.empty_kind is not None:
            result = empty_result(query, self.empty_kind)
        else:
            result = result_of(
                query,
                echo=self.knobs.echo,
                bare_lists=self.knobs.bare_lists,
                execution_id=execution_id if self.knobs.stamp else "",
            )
        for depth in range(self.knobs.flat_wrap):
            result = {"resultData" if depth % 2 else "data": result}
        return self._json({"executionId": execution_id, "status": "completed", "resultData": result})

    def _json(self, body: dict[str, Any]) -> Message:
        message = _json(body)
        return Message(codecs.BOM_UTF8 + message.body) if self.knobs.bom else message


def make_plan(knobs: Knobs, seed: int, request_number: int) -> Plan:
    """Return the plan for the execution of one request."""

    def happens(name: str, rate: float) -> bool:
        return roll(seed, request_number, name) < rate

    def kind(name: str, chosen: str, kinds: tuple[str, ...]) -> str:
        real = [each for each in kinds if each != "any"]
        return chosen if chosen != "any" else real[int(roll(seed, request_number, name) * len(real))]

    return Plan(
        knobs=knobs,
        run_seconds=knobs.delay_seconds + knobs.jitter_seconds * roll(seed, request_number, "jitter_seconds"),
        is_dropped=happens("drop_rate", knobs.drop_rate),
        is_failed=happens("failure_rate", knobs.failure_rate),
        is_duplicated=happens("duplicate_rate", knobs.duplicate_rate),
        has_wrong_signature=happens("wrong_signature_rate", knobs.wrong_signature_rate),
        garbage_kind=kind("garbage_kind", knobs.garbage_kind, GARBAGE_KINDS)
        if happens("garbage_rate", knobs.garbage_rate)
        else None,
        empty_kind=kind("empty_kind", knobs.empty_kind, EMPTY_KINDS)
        if happens("empty_rate", knobs.empty_rate)
        else None,
    )


def roll(seed: int, request_number: int, name: str) -> float:
    """Return a number in [0, 1) that depends only on the seed, the request number and the knob's name."""
    digest = hashlib.sha256(f"{seed}:{request_number}:{name}".encode()).digest()
    # A float holds exactly 53 bits; a longer number could be rounded up to 1.0.
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)


def _garbage(kind: str, execution_id: str) -> Message:
    if kind == "html":
        return Message(_HTML.encode(), "text/html; charset=utf-8")
    if kind == "list":
        return Message(json.dumps([{"executionId": execution_id, "simulated": True}]).encode())
    return _json(
        {"executionId": execution_id, "status": "completed", "resultData": "<html>登录已过期</html>"}
    )


def _json(body: dict[str, Any]) -> Message:
    marked = {**body, "simulated": True}
    try:
        return Message(orjson.dumps(marked))
    except orjson.JSONEncodeError:  # an echoed parameter may be an integer of more than 64 bits
        return Message(json.dumps(marked, ensure_ascii=False, separators=(",", ":")).encode())
