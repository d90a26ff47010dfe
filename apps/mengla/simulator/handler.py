"""Handles the requests to the simulator: the protocol under ``/api/``, and the controls."""

from __future__ import annotations

import codecs
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote

from apps.mengla.simulator.executions import Execution
from apps.mengla.simulator.knobs import PARAMETERS_KEY, InvalidKnobs, Knobs
from apps.mengla.simulator.plan import make_plan, roll
from apps.mengla.simulator.query import InvalidParameters, Query, parse_parameters
from apps.mengla.simulator.sender import Target, parse_target
from apps.mengla.simulator.state import SimulatorState
from apps.mengla.simulator.wire import JsonHandler, NoResponse, Refusal, parse_json

TASKS_PATH = "/api/managed-tasks"
EARLY_SECONDS = 60.0
DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1000
MAX_PAGE = 999_999

_STATUSES_WITH_RETRY_AFTER = frozenset({429, 503})
_ABOUT = """This is a SIMULATOR of the collection service. Every figure it sends is made up.

GET  /stats           show the counts of requests and webhooks
POST /stats/reset     clear these counts
GET  /knobs           show the knobs, which make it slow or faulty
POST /knobs           change some knobs: {"delay_seconds": 2, "failure_rate": 0.1}
POST /knobs/reset     restore the knobs it was started with
"""


class ProtocolHandler(JsonHandler):
    """One connection to the simulator."""

    @property
    def simulator(self) -> SimulatorState:
        """The simulator this connection belongs to."""
        simulator: SimulatorState = self.server.simulator  # type: ignore[attr-defined]
        return simulator

    def respond(self) -> None:
        """Process one request; the controls always work, the protocol only when the ``down`` knob is off."""
        arrived_at = time.monotonic()
        path, _, query_string = self.path.partition("?")
        self.json_prefix = b""
        if path in _CONTROLS:
            body = self.read_body()
            self.check_method(*_CONTROLS[path])
            _CONTROLS[path][self.command](self, body)
            return
        stats = self.simulator.stats_counter
        stats.count("total_requests")
        managed_task_id = _managed_task_id_in(path)
        is_execute_request = managed_task_id is not None and self.command == "POST"
        self.request_id = uuid.uuid4().hex if is_execute_request else ""
        if is_execute_request:
            stats.post_arrived(arrived_at)
            since = time.monotonic() - arrived_at
            self.simulator.journal.write("request", seconds_ago=since, request=self.request_id)
        self.json_prefix = codecs.BOM_UTF8 if self.simulator.knobs.bom else b""
        try:
            if self.simulator.knobs.down:
                stats.count("requests_while_down")
                raise NoResponse
            body = self.read_body()
            if path == TASKS_PATH:
                self.check_method("GET")
                self._list_tasks(query_string)
            elif managed_task_id is not None:
                self.check_method("POST")
                self._execute(managed_task_id, body)
            else:
                raise Refusal(404, "NOT_FOUND", "no such path")
        finally:
            # Before the buffered response is sent: the caller's next request must not overlap with this one.
            if is_execute_request:
                stats.post_ended()

    # --- The protocol -----------------------------------------------------------------------------

    def _list_tasks(self, query_string: str) -> None:
        self.simulator.stats_counter.count("task_list_requests")
        self.simulator.journal.write("list")
        self._check_key()
        page = _number(query_string, "page", 1, MAX_PAGE)
        knobs, name = self.simulator.knobs, self.simulator.config.task_name
        asked = _number(query_string, "limit", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        limit = min(asked, knobs.max_page_size)
        tasks = [{"id": f"sim-decoy-{n}", "name": f"{name} ({n})"} for n in range(1, knobs.decoy_tasks + 1)]
        tasks.append({"id": knobs.task_id, "name": name})
        shown = tasks[(page - 1) * limit : page * limit]
        data = {"tasks": shown, "total": len(tasks), "page": page, "limit": limit}
        self.send_json({"data": data, "simulated": True})

    def _execute(self, managed_task_id: str, body: bytes) -> None:
        simulator = self.simulator
        self._check_key()
        if managed_task_id != simulator.knobs.task_id:
            simulator.stats_counter.count("unknown_task_requests")
            raise Refusal(404, "TASK_NOT_FOUND", "there is no managed task with this id")
        try:
            query, target, knobs = _read_execute_body(body, simulator.knobs)
        except InvalidParameters as error:
            simulator.stats_counter.count_invalid(error.reason, str(error))
            raise Refusal(400, "INVALID_REQUEST", f"{error.reason}: {error}") from error
        seed, number = simulator.config.seed, simulator.stats_counter.count_query(query.key)
        if knobs.down or (knobs.hang_seconds and simulator.is_stopping.wait(knobs.hang_seconds)):
            raise NoResponse
        if roll(seed, number, "execute_error_rate") < knobs.execute_error_rate:
            simulator.stats_counter.count("execute_errors")
            status = knobs.execute_status
            may_be_retried = status in _STATUSES_WITH_RETRY_AFTER
            headers = {"Retry-After": str(knobs.retry_after_seconds)} if may_be_retried else {}
            simulator.journal.write("refused", request=self.request_id, status=status)
            raise Refusal(status, "SIMULATED_ERROR", "a simulated error", headers)
        execution = Execution(
            execution_id=uuid.uuid4().hex, query=query, plan=make_plan(knobs, seed, number), target=target
        )
        simulator.journal.write(
            "accepted",
            request=self.request_id,
            execution=execution.execution_id,
            key=query.key,
            parameters=query.echo(),
        )
        if not simulator.executions.submit(execution):
            raise Refusal(503, "QUEUE_FULL", "too many executions are open", {"Retry-After": "5"})
        if knobs.early:
            execution.called_back.wait(EARLY_SECONDS)
        simulator.journal.write("responding", request=self.request_id, execution=execution.execution_id)
        self.send_json({"data": {"executionId": execution.execution_id}, "simulated": True})

    def _check_key(self) -> None:
        expected = self.simulator.config.api_key
        wanted = f"Bearer {expected}".encode("utf-8", "surrogatepass")
        # The base class decodes header values as Latin-1, whatever their bytes are.
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        if expected and not hmac.compare_digest(given, wanted):
            self.simulator.stats_counter.count("unauthorized_requests")
            raise Refusal(401, "UNAUTHORIZED", "a Bearer key is required", {"WWW-Authenticate": "Bearer"})

    # --- The controls -----------------------------------------------------------------------------

    def _about(self, _body: bytes) -> None:
        self.send_text(_ABOUT)

    def _stats(self, _body: bytes) -> None:
        self.send_json({"simulated": True, **self.simulator.stats()})

    def _reset_stats(self, _body: bytes) -> None:
        self.simulator.reset_stats()
        self._stats(_body)

    def _knobs(self, _body: bytes) -> None:
        self.send_json({"simulated": True, **self.simulator.knobs.as_dict()})

    def _change_knobs(self, body: bytes) -> None:
        try:
            self.simulator.change_knobs(parse_json(body))
        except ValueError as error:
            raise Refusal(400, "INVALID_KNOBS", str(error)) from error
        self._knobs(body)

    def _reset_knobs(self, _body: bytes) -> None:
        self.simulator.reset_knobs()
        self._knobs(_body)


_CONTROLS: Mapping[str, Mapping[str, Callable[[ProtocolHandler, bytes], None]]] = {
    "/": {"GET": ProtocolHandler._about},
    "/stats": {"GET": ProtocolHandler._stats},
    "/stats/reset": {"POST": ProtocolHandler._reset_stats},
    "/knobs": {"GET": ProtocolHandler._knobs, "POST": ProtocolHandler._change_knobs},
    "/knobs/reset": {"POST": ProtocolHandler._reset_knobs},
}


def _read_execute_body(body: bytes, knobs: Knobs) -> tuple[Query, Target, Knobs]:
    """Return the query of an execute body, the address of its webhook, and the knobs of this request.

    :raises InvalidParameters: when the body breaks the protocol.
    """
    try:
        sent = parse_json(body)
    except ValueError as error:
        raise InvalidParameters("body", str(error)) from error
    if not isinstance(sent, dict):
        raise InvalidParameters("body", "the body must be a JSON object")
    query = parse_parameters(sent.get("parameters"))
    try:
        target = parse_target(sent.get("webhookUrl"))
    except ValueError as error:
        raise InvalidParameters("webhookUrl", str(error)) from error
    own = sent["parameters"].get(PARAMETERS_KEY)
    if own is not None:
        try:
            knobs = knobs.changed(own, per_request=True)
        except InvalidKnobs as error:
            raise InvalidParameters(PARAMETERS_KEY, str(error)) from error
    return query, target, knobs


def _managed_task_id_in(path: str) -> str | None:
    match path.removeprefix(TASKS_PATH).split("/"):
        case ["", managed_task_id, "execute"] if path.startswith(TASKS_PATH):
            return unquote(managed_task_id)
    return None


def _number(query_string: str, name: str, default: int, highest: int) -> int:
    try:
        text = parse_qs(query_string, max_num_fields=20).get(name, [str(default)])[-1]
        number = int(text) if text.isascii() and len(text) <= len(str(MAX_PAGE)) else 0
    except ValueError:
        number = 0
    if not 1 <= number <= highest:
        raise Refusal(400, "INVALID_REQUEST", f"{name} must be a number from 1 to {highest}")
    return number
