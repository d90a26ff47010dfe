"""Spans of OpenTelemetry over work that several processes do; off unless the OTLP variables are set.

Nothing of OpenTelemetry is imported here. While tracing is off, every span is one object that does nothing,
and a hit in the caches never comes here (docs/adr/0029).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from django.conf import settings

from apps.core.tracing.spans import OFF, Kind, Span, Value

__all__ = [
    "OFF",
    "Kind",
    "Span",
    "Value",
    "current_traceparent",
    "is_on",
    "outgoing_headers",
    "span",
    "start",
]

_OFF_CONTEXT: AbstractContextManager[Span] = nullcontext(OFF)


def is_on() -> bool:
    """Whether this installation is traced."""
    return bool(settings.IS_TRACED)


def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Value] | None = None,
) -> AbstractContextManager[Span]:
    """Return a span for a ``with`` block, in which it is the current one.

    An exception that leaves the block marks it as failed with the name of its class, because a message may
    hold a secret.

    :param parent: the ``traceparent`` of its parent; empty for a new trace, None for the current span. An
        invalid one counts as empty.
    :param links: contexts of spans in other traces.
    """
    if not is_on():
        return _OFF_CONTEXT
    from apps.core.tracing import otel

    return otel.span(name, kind, parent=parent, links=links, attributes=attributes or {})


def current_traceparent() -> str:
    """Return the context of the current span; empty without one."""
    if not is_on():
        return ""
    from apps.core.tracing import otel

    return otel.current_traceparent()


def outgoing_headers() -> dict[str, str]:
    """Return the headers that let the receiver of a request continue the trace."""
    traceparent = current_traceparent()
    return {"traceparent": traceparent} if traceparent else {}


def start() -> None:
    """Load what spans need now, rather than with the first one; for processes that handle requests."""
    if is_on():
        from apps.core.tracing import otel

        otel.load()
