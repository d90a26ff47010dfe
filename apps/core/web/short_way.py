"""The short way: answers requests without Django, as Django has answered the same caller before.

What the layers of Django and DRF do for a request depends on its *frame*: on who sends it, from where, to
which address and in which language, but not on its parameters. :class:`ShortWay` remembers the frames whose
view has offered it (:func:`apps.core.api.replies.reply_to`), and which headers the layers have added to those
of the view. The next request with this frame is answered without them.

* The caller must be accepted as before, which is decided from memory. Otherwise the request goes the whole
  way.
* An error, or a reply of a kind that was not seen in this frame, goes the whole way, too. The view finds it
  in the environment and does not work twice. So no error is worded in two places.
* Each request has its id, its access line and its counts.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from django.utils import translation

from apps.core.api.replies import BOUND, OFFER, OUTCOME, REPLY, Offer, Reply
from apps.core.caching.renewal import Caller, Renewal
from apps.core.caching.replay import BASIS, CALLER, KEY, Basis, noting_head, short_length_of
from apps.core.caching.tiers import get_cache
from apps.core.storage.clock import unix_now
from apps.core.web.access_log import STARTED_AT, RepeatedLine, facts_of, write_line
from apps.core.web.request_ids import request_id_of
from apps.core.web_threads import receive_body

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
FrameKey = tuple[Any, ...]
Kind = tuple[int, tuple[str, ...]]  # of a reply: its status, and the request headers that it depends on

MAX_FRAMES = 1000
MAX_FRAME_BYTES = 4096
# Of what decides about an answer, these are parameters: the view reads them.
_PARAMETERS = ("QUERY_STRING", "HTTP_IF_NONE_MATCH")
FRAME = tuple(name for name in KEY if name not in _PARAMETERS)
_ANEW = frozenset({"content-length", "x-request-id"})
_STATUS_LINES = {one.value: f"{one.value} {one.phrase}" for one in HTTPStatus}


@dataclass(slots=True)
class _Frame:
    """What is known of a frame; ``added`` are the headers of the layers for each kind of reply."""

    offer: Offer
    caller: Caller
    address: str  # the client's, as the layers have found it
    added: dict[Kind, Headers] = field(default_factory=dict)
    was_used: bool = False


class _Anyone:
    """The caller of a public address."""

    def is_accepted(self, now: float) -> bool:
        return True

    def renew(self) -> None:
        pass


_ANYONE = _Anyone()


class ShortWay:
    """The WSGI application in front of ``application``; ``renewal`` keeps the states of its callers new."""

    def __init__(self, application: Any, *, renewal: Renewal) -> None:
        self._application = application
        self._renewal = renewal
        self._frames: OrderedDict[FrameKey, _Frame] = OrderedDict()
        self._lock = threading.Lock()  # guards changes of the frames; readers need none

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request by the short way, or go the whole way."""
        started_at = time.perf_counter()
        key = tuple(map(environ.get, FRAME))
        frame = self._frames.get(key)
        if frame is None or not frame.caller.is_accepted(unix_now()):
            return self._go_whole_way(key, environ, start_response)
        environ[STARTED_AT] = started_at
        frame.was_used = True
        self._renewal.note_use(frame.caller, get_cache())
        reply = _serve(frame, environ)
        added = frame.added.get((reply.status, reply.vary)) if reply is not None else None
        if reply is None or added is None:
            return self._go_whole_way(key, environ, start_response)
        request_id: str = environ["HTTP_X_REQUEST_ID"]
        length = ("Content-Length", str(len(reply.body)))
        start_response(
            _STATUS_LINES[reply.status],
            [*reply.headers.items(), *added, length, ("X-Request-ID", request_id)],
        )
        facts = facts_of(
            method=environ["REQUEST_METHOD"],
            path=environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"],
            status=reply.status,
            address=frame.address,
            headers=reply.headers,
            body_bytes=len(reply.body),
        )
        basis: Basis | None = environ.get(BASIS)
        if basis is not None:
            basis.write_line = RepeatedLine(**facts).write
        structlog.contextvars.clear_contextvars()
        seconds = time.perf_counter() - started_at
        write_line(**facts, request_id=request_id, seconds=seconds, bound=reply.facts)
        return [reply.body]

    def _go_whole_way(self, key: FrameKey, environ: Environ, start_response: Any) -> Iterable[bytes]:
        note_head, sent = noting_head(start_response)
        result: Iterable[bytes] = self._application(environ, note_head)
        reply: Reply | None = environ.get(REPLY)
        if reply is not None and sent and result == [reply.body]:
            caller = _ANYONE if environ[OFFER].is_public else environ.get(CALLER)
            if caller is not None:
                frame = _Frame(environ[OFFER], caller, environ.get("REMOTE_ADDR", ""))
                self._learn(key, frame, reply, *sent)
        return result

    def _learn(self, key: FrameKey, frame: _Frame, reply: Reply, status: str, headers: Headers) -> None:
        own = {name.lower() for name in reply.headers} | _ANEW
        added = [(name, value) for name, value in headers if name.lower() not in own]
        is_learned = (
            status == _STATUS_LINES[reply.status]
            and not any(name.lower() == "set-cookie" for name, _ in added)
            and sum(len(part) for part in key if part) <= MAX_FRAME_BYTES
        )
        if not is_learned:
            return
        with self._lock:
            known = self._frames.pop(key, frame)
            frame.added = {**known.added, (reply.status, reply.vary): added}
            self._frames[key] = frame
            while len(self._frames) > MAX_FRAMES:
                self._forget_one()
        self._renewal.start()

    def _forget_one(self) -> None:
        """Forget the oldest frame that was not used since the last search for one."""
        while True:
            key, frame = self._frames.popitem(last=False)
            if not frame.was_used:
                return
            frame.was_used = False
            self._frames[key] = frame


def _serve(frame: _Frame, environ: Environ) -> Reply | None:
    """Return the reply of the view's function; None when the request has to go the whole way."""
    body = _body_of(environ, frame.offer.max_body_bytes)
    if body is None:
        return None
    # The whole way, if it follows, has the same id.
    request_id = environ["HTTP_X_REQUEST_ID"] = request_id_of(environ.get("HTTP_X_REQUEST_ID"))
    structlog.contextvars.bind_contextvars(request_id=request_id)
    translation.activate(frame.offer.language)
    if not frame.offer.is_public:
        environ[CALLER] = frame.caller
    try:
        reply = frame.offer.reply(environ, body)
    except Exception as error:  # noqa: BLE001 - the view raises it again
        environ[OUTCOME], environ[BOUND] = error, structlog.contextvars.get_contextvars()
        return None
    if reply is not None:
        environ[OUTCOME] = reply
    return reply


def _body_of(environ: Environ, limit_bytes: int) -> bytes | None:
    """Return the body, which the whole way can read again; None when only the whole way can read it."""
    length = short_length_of(environ, limit_bytes=limit_bytes)
    if not length:
        return b"" if length == 0 else None
    body = receive_body(environ, length)
    return body if body is not None and len(body) == length else None
