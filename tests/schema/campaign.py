"""Requests that schemathesis makes of the OpenAPI document, sent over HTTP to the product's WSGI application.

The application is the one that the web server calls, with every layer of the product; MongoDB and Redis are
real. A small server in a thread calls it, so that a test can change limits. The product's own server would
add its parsing of HTTP, which the document does not describe.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import schemathesis
from django.conf import settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.errors import EngineErrorInfo
from werkzeug.serving import WSGIRequestHandler, make_server

from apps.mengla.upstream.signature import sign
from tests.parallel import own_port

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
Excuse = Callable[[Any, Any, Any], str | None]
PHASES = ("examples", "coverage", "fuzzing", "stateful")
CHECK_NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
_SIGNATURE = "HTTP_X_SIGNATURE_256"


@dataclass
class Findings:
    """What a campaign has done and found; ``excused`` counts by the name of the excuse."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """All failures, one of each kind and address."""
        return "\n\n".join(f"{name}\n{text}" for name, text in sorted(self.failures.items()))


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """How to ask: ``examples`` is the number of random requests of each address and phase.

    ``is_repeatable``: they are the same each time, whatever the seed is.
    """

    document: dict[str, Any]
    application: WsgiApplication
    token: str | None
    examples: int
    seed: int
    is_repeatable: bool = True
    phases: tuple[str, ...] = PHASES

    def run(self, excuse: Excuse) -> Findings:
        """Send all requests.

        :param excuse: returns why a failed check of a case and its response is none, by a name, or None.
        """
        found = Findings()
        schema = schemathesis.openapi.from_dict(_readable(self.document), config=self._config())

        def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
            name = excuse(failure, case, response)
            if name is not None:
                found.excused[name] += 1
            return name is None

        schema.hook(filter_failure)
        with _serving(_Front(self.application)) as url:
            schema.config.update(base_url=url)
            for event in from_schema(schema).execute():
                _note(event, found)
        return found

    def _config(self) -> SchemathesisConfig:
        load_all_checks()
        unused = {name: {"enabled": False} for name in CHECKS.get_all_names() if name not in CHECK_NAMES}
        phases: dict[str, Any] = {name: {"enabled": name in self.phases} for name in PHASES}
        return SchemathesisConfig.from_dict(
            {
                "seed": self.seed,
                "cache": {"enabled": False},
                "headers": {"Authorization": f"Bearer {self.token}"} if self.token else {},
                "continue-on-failure": True,
                "generation": {
                    "max-examples": self.examples,
                    "deterministic": self.is_repeatable,
                    "database": "none",
                    "no-shrink": True,
                },
                "suppress-health-check": ["all"],
                "checks": {**{name: {"enabled": True} for name in CHECK_NAMES}, **unused},
                "phases": phases,
            }
        )


class _QuietHandler(WSGIRequestHandler):
    """Writes no lines: the product has its own."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def _serving(application: WsgiApplication) -> Iterator[str]:
    """Serve an application on a port of its own; yields the URL."""
    server = make_server("127.0.0.1", own_port(), application, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Front:
    """Stands before the application: signs webhooks as the service does, and gives each login an address."""

    def __init__(self, application: WsgiApplication) -> None:
        self._application = application
        self._addresses = itertools.count(1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        number = next(self._addresses)
        environ["REMOTE_ADDR"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        if environ.get(_SIGNATURE, "").startswith("sha256=") and "webhook" in environ["PATH_INFO"]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            environ[_SIGNATURE] = sign(body, settings.WEBHOOK_SECRET)
        return self._application(environ, start_response)


def _readable(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without its answer for all other statuses, so that each one has to be named.

    Python's regular expressions know no properties of characters: each is written as the characters it has.
    """
    text = json.dumps(document)
    for name in ("Cc", "Cf", "Zl", "Zp", "Zs"):
        text = text.replace(json.dumps(rf"\p{{{name}}}")[1:-1], json.dumps(_characters_of(name))[1:-1])
    copied: dict[str, Any] = json.loads(text)
    for methods in copied["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("default", None)
    return copied


def _characters_of(category: str) -> str:
    """Return the characters of a Unicode category, as they may be written in a class."""
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == category]
    parts = []
    for _, run in itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0]):
        found = [code for _, code in run]
        parts.append("-".join(_written(code) for code in sorted({found[0], found[-1]})))
    return "".join(parts)


def _written(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else chr(code)


def _note(event: events.EngineEvent, found: Findings) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError):
        info: Any = getattr(event, "info", None)
        text = info.format() if isinstance(info, EngineErrorInfo) else str(getattr(event, "exception", event))
        found.failures[f"error {getattr(event, 'label', '')}"] = text
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder = event.recorder
    found.requests[event.phase.value] += len(recorder.interactions)
    for interaction in recorder.interactions.values():
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            failure = check.failure_info.failure
            case = recorder.cases[case_id].value
            name = f"{check.name}: {case.method} {case.path}: {_shape_of(failure, recorder, case_id)}"
            if name not in found.failures:
                found.failures[name] = _described(case, recorder.interactions.get(case_id), failure)


def _shape_of(failure: Any, recorder: Any, case_id: str) -> str:
    """Return what is the same of failures with one cause."""
    response = getattr(recorder.interactions.get(case_id), "response", None)
    try:
        fields = json.loads(response.content).get("fields", {})
    except (AttributeError, ValueError):
        fields = {}
    return f"{failure.title} {sorted(fields)}"


def _described(case: Any, interaction: Any, failure: Any) -> str:
    request = getattr(interaction, "request", None)
    response = getattr(interaction, "response", None)
    lines = [failure.message[:600]]
    if case.meta is not None:
        description = str(getattr(case.meta.phase.data, "description", ""))
        lines.append(f"phase: {case.meta.phase.name.value} {description[:200]}")
    if request is not None:
        lines.append(f"{request.method} {request.uri} {(request.body or b'')[:400]!r}")
    if response is not None:
        lines.append(f"{response.status_code} {response.content[:500].decode(errors='replace')}")
    return "\n".join(lines)
