"""What a span is, without OpenTelemetry, and the one that does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

Value = str | int | float | bool


class Kind(StrEnum):
    """What a span is for, in the words of OpenTelemetry."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span(Protocol):
    """A span in progress. Attributes hold no secrets: no query strings, headers or bodies."""

    @property
    def traceparent(self) -> str:
        """Its context in the form of W3C Trace Context; empty while tracing is off."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Set attributes."""

    def link(self, traceparent: str) -> None:
        """Link it to a span of another trace; nothing happens for an invalid or empty context."""

    def fail(self, reason: str) -> None:
        """Mark it as failed, for a reason without secrets."""


class _Off:
    """The span while tracing is off."""

    traceparent = ""

    def set(self, attributes: Mapping[str, Value]) -> None:
        pass

    def link(self, traceparent: str) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


OFF: Span = _Off()
