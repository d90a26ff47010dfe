"""Makes spans with the SDK of OpenTelemetry; imported only while tracing is on.

Each process has a provider of its own, made with its first span, because the thread that sends spans does not
survive a fork. The standard variables (OTEL_*) configure it: the SDK reads them itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.util import Finalize

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apps.core import process_state
from apps.core.tracing.spans import Kind, Value

# At its end a process waits this long for a receiver that is slow; what is not sent then is lost.
FLUSH_SECONDS = 3.0
_FLUSH_PRIORITY = 0
_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"


class _Recorded:
    """A span of the SDK."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.is_failed = False

    @property
    def traceparent(self) -> str:
        """Its context in the form of W3C Trace Context."""
        return _traceparent_of(trace.set_span_in_context(self._span, Context()))

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Set attributes."""
        self._span.set_attributes(attributes)

    def link(self, traceparent: str) -> None:
        """Link it to a span of another trace."""
        for link in _links_to([traceparent]):
            self._span.add_link(link.context)

    def fail(self, reason: str) -> None:
        """Mark it as failed."""
        self.is_failed = True
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR))


# By process id: what a fork has inherited belongs to its parent. Nothing forks while it makes its first span.
_tracers: dict[int, Tracer] = {}
_lock = threading.Lock()
process_state.register(_tracers.clear)


def _tracer() -> Tracer:
    """Return the tracer of this process."""
    found = _tracers.get(os.getpid())
    if found is not None:
        return found
    with _lock:
        if os.getpid() not in _tracers:
            _tracers[os.getpid()] = _made_tracer()
        return _tracers[os.getpid()]


def _made_tracer() -> Tracer:
    """Make the provider, which sends what is left when the process ends, and its tracer."""
    resource = Resource.create()  # reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    version = settings.VERSION
    own: dict[str, Value] = {"service.version": version, "process.pid": os.getpid()}
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        own["service.name"] = settings.TRACED_SERVICE_NAME
    provider = TracerProvider(resource=resource.merge(Resource(own)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    # Works in the forks of multiprocessing, too, which do not call the functions of atexit.
    Finalize(None, _shut_down, args=(provider,), exitpriority=_FLUSH_PRIORITY)
    return provider.get_tracer(settings.TRACED_SERVICE_NAME, version)


def _shut_down(provider: TracerProvider) -> None:
    """Send what is left; a receiver that does not respond must not delay the end of the process."""
    thread = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS)


def load() -> None:
    """Make the tracer of this process."""
    _tracer()


@contextmanager
def span(
    name: str, kind: Kind, *, parent: str | None, links: Sequence[str], attributes: Mapping[str, Value]
) -> Iterator[_Recorded]:
    """Make a span that is the current one within the block; see :func:`apps.core.tracing.span`."""
    context = None if parent is None else _W3C.extract({_HEADER: parent}, Context())
    made = _tracer().start_span(
        name, context, kind=SpanKind[kind], attributes=attributes, links=_links_to(links)
    )
    recorded = _Recorded(made)
    token = attach(trace.set_span_in_context(made, context))
    try:
        yield recorded
    except Exception as error:
        if not recorded.is_failed:
            recorded.fail(type(error).__name__)
        raise
    finally:
        detach(token)
        made.end()


def current_traceparent() -> str:
    """Return the context of the current span; empty without one."""
    return _traceparent_of(None)


def _traceparent_of(context: Context | None) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return carrier.get(_HEADER, "")


def _context_in(traceparent: str) -> SpanContext:
    return trace.get_current_span(_W3C.extract({_HEADER: traceparent}, Context())).get_span_context()


def _links_to(traceparents: Sequence[str]) -> list[Link]:
    contexts = (_context_in(one) for one in traceparents if one)
    return [Link(context) for context in contexts if context.is_valid]
