"""A real HTTP server that receives traces (OTLP) and envelopes of Sentry, and keeps what it gets."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
FAILED = 2


@dataclass(frozen=True)
class ReceivedSpan:
    """One span, with the attributes of its process."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: frozenset[str]  # ids of spans
    attributes: dict[str, Any]
    resource: dict[str, Any]
    is_failed: bool


class ObservabilityReceiver:
    """Listens on a port of its own while the context lasts; ``status`` is what it answers with."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.events: list[dict[str, Any]] = []  # of Sentry
        self.raw: list[bytes] = []
        self.status = 200
        self._may_answer = threading.Event()
        self._may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.raw.append(body)
                receiver._may_answer.wait(60)
                if self.path == "/v1/traces":
                    receiver.spans += spans_in(body)
                else:
                    receiver.events += events_in(body)
                answer = b"{}" if "envelope" in self.path else b""
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang(self) -> None:
        """Answer nobody from now on."""
        self._may_answer.clear()

    def about(self, collection_id: str) -> list[ReceivedSpan]:
        """The spans of all traces in which a span names this collection."""
        traces = {
            one.trace_id for one in self.spans if one.attributes.get("mengla.collection_id") == collection_id
        }
        return [one for one in self.spans if one.trace_id in traces]


def events_in(body: bytes) -> list[dict[str, Any]]:
    """The events in one of Sentry's envelopes: lines of JSON, of which each second one is a header."""
    lines = body.split(b"\n")[1:]
    pairs = zip(lines[::2], lines[1::2], strict=False)
    return [json.loads(item) for header, item in pairs if header and json.loads(header)["type"] == "event"]


def spans_in(body: bytes) -> list[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        ReceivedSpan(
            name=span.name,
            kind=KINDS[span.kind],
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            links=frozenset(link.span_id.hex() for link in span.links),
            attributes=values_of(span.attributes),
            resource=values_of(of_process.resource.attributes),
            is_failed=span.status.code == FAILED,
        )
        for of_process in request.resource_spans
        for scope in of_process.scope_spans
        for span in scope.spans
    ]


def values_of(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
