"""Replays finished answers in front of Django, while everything that they rest on still holds.

:class:`Replay` is a WSGI application around another one. A view says that its answer may be replayed, and
what the answer rests on (:class:`Basis`); nothing is guessed from an address. Every other request, and every
request whose answer has expired, takes the full path through Django, which stores the answer again.

* **For whom.** The key of an answer is all that can change it, byte for byte: method, path, query string,
  body and the headers in :data:`KEY`, which are those that any layer reads for such an answer.
* **How long.** As long as L1 holds the very entry and has caught up with the other processes, the entry is
  fresh, and the caller is accepted as before. Each is a comparison in memory.
* **What is new in each answer**: ``Age`` and ``X-Request-ID``. The server adds ``Date``.
* **What is kept**: each read is counted, each request has its access line, each token its last use.

A thread catches up with the other processes, and reads the states of callers anew, before a reader has to.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.core.caching.entry import Entry
from apps.core.caching.memory import Slot
from apps.core.caching.renewal import Caller, Renewal
from apps.core.caching.tiers import TieredCache, get_cache
from apps.core.storage.clock import unix_now
from apps.core.web_threads import ReceivedBody, receive_body

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Application = Callable[[Environ, Any], Iterable[bytes]]
Head = tuple[Any, ...]
Key = tuple[Head, bytes | None]

# Keys in the environment of a request: the caller, put there by the authentication, and the basis of its
# answer, put there by the view.
CALLER = "replay.caller"
BASIS = "replay.basis"
MAX_BODY_BYTES = 4096  # a request with a longer body is not replayed
MAX_KEY_BYTES = 8192
KEYS_OF_ENTRY = 4  # the maximum number of answers, for each entry that L1 may hold
MEAN_KEY_BYTES = 2048  # all keys together have at most this size for each such answer
# What decides about an answer. A test records what the whole way reads.
KEY = (
    *("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "REMOTE_ADDR", "wsgi.url_scheme"),
    *("HTTP_AUTHORIZATION", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE"),
    *("HTTP_HOST", "HTTP_IF_NONE_MATCH", "HTTP_ORIGIN", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST"),
    *("HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PROTO"),
)
_MAX_LENGTH_DIGITS = 6
_NEW_HEADERS = frozenset({"age", "x-request-id"})


@dataclass(slots=True, kw_only=True)
class Basis:
    """What a finished answer rests on.

    ``count`` counts a replay; its argument is the time that the replay took, in seconds, without the receipt
    of the request's body. ``write_line`` writes the access line of a replay, given the request's id and the
    whole time. The middleware that writes the lines sets it.
    """

    slot: Slot
    tiers: TieredCache
    caller: Caller
    count: Callable[[float], None] | None = None
    write_line: Callable[[str, float], None] | None = None

    def current_entry(self, now: float) -> Entry | None:
        """Return the entry if the answer may be sent now (Unix seconds), otherwise None."""
        # Asked first: another thread that catches up at this moment empties the slot before it says so.
        if not self.tiers.is_caught_up:
            return None
        entry = self.slot.current()
        if entry is None or not entry.is_fresh(now) or not entry.is_servable(now):
            return None
        return entry if self.caller.is_accepted(now) else None


def allow_replay(
    environ: Environ, group: str, field: str, entry: Entry, *, count: Callable[[float], None] | None = None
) -> None:
    """Let the answer to this request be replayed while L1 holds ``entry`` and the other rules hold.

    Nothing happens when the caller's acceptance cannot be decided from memory.
    """
    caller: Caller | None = environ.get(CALLER)
    tiers = get_cache()
    slot = tiers.slot_of(group, field)
    if caller is not None and slot is not None and slot.entry is entry:
        environ[BASIS] = Basis(slot=slot, tiers=tiers, caller=caller, count=count)


class _Answer:
    """A finished answer: its status, its headers without the new ones, and which body of the entry it has."""

    __slots__ = ("basis", "body_name", "headers", "status", "was_used")

    def __init__(self, basis: Basis, status: str, headers: Headers) -> None:
        self.basis = basis
        self.status = status
        self.headers = [(name, value) for name, value in headers if name.lower() not in _NEW_HEADERS]
        is_compressed = any(name.lower() == "content-encoding" for name, _ in headers)
        self.body_name = "" if status.startswith("304") else "gzip_body" if is_compressed else "body"
        self.was_used = False

    def body_of(self, entry: Entry) -> bytes:
        """Return the body that the answer sends."""
        return getattr(entry, self.body_name) if self.body_name else b""


class Replay:
    """The WSGI application in front of ``application``.

    ``renewal`` renews what the answers rest on. ``request_id_of`` returns the id of a request, given its
    ``X-Request-ID`` header.
    """

    def __init__(
        self, application: Application, *, renewal: Renewal, request_id_of: Callable[[str | None], str]
    ) -> None:
        self._application = application
        self._renewal = renewal
        self._request_id_of = request_id_of
        self._max_answers: int = KEYS_OF_ENTRY * settings.L1_CACHE_MAX_SIZE
        # A body of None: a request with a body and this head was answered, so its body is worth reading.
        self._key_bytes = 0
        self._answers: OrderedDict[Key, _Answer | None] = OrderedDict()
        self._lock = threading.Lock()  # guards changes of the answers; readers need none

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request by a replay, or go the whole way."""
        started_at = time.perf_counter()
        head: Head = tuple(map(environ.get, KEY))
        length = short_length_of(environ)
        body = b"" if length == 0 else self._read_ahead(environ, head, length)
        if body is None:
            return self._go_whole_way(environ, start_response, head, length)
        received_at = time.perf_counter()
        # One that ended early is refused, even if what came is the whole body of another request.
        answer = self._answers.get((head, body)) if len(body) == length else None
        now = unix_now()
        entry = answer.basis.current_entry(now) if answer is not None else None
        if answer is None or entry is None:
            return self._go_whole_way(environ, start_response, head, length)
        basis = answer.basis
        answer.was_used = basis.slot.was_used = True
        request_id = self._request_id_of(environ.get("HTTP_X_REQUEST_ID"))
        age_seconds = max(0, int(now - entry.stored_at))
        start_response(
            answer.status, [*answer.headers, ("Age", str(age_seconds)), ("X-Request-ID", request_id)]
        )
        self._renewal.note_use(basis.caller, basis.tiers)
        ended_at = time.perf_counter()
        if basis.count is not None:
            basis.count(ended_at - received_at)
        if basis.write_line is not None:
            basis.write_line(request_id, ended_at - started_at)
        return [answer.body_of(entry)]

    def _read_ahead(self, environ: Environ, head: Head, length: int | None) -> bytes | None:
        """Return the body of a request whose head was answered before, None when it was not read.

        A request without a valid token is refused before its body is read, so no other head's body is.
        """
        if length is None or (head, None) not in self._answers:
            return None
        return receive_body(environ, length)

    def _go_whole_way(
        self, environ: Environ, start_response: Any, head: Head, length: int | None
    ) -> Iterable[bytes]:
        note_head, sent = noting_head(start_response)
        stream = environ.get("wsgi.input")
        if length and not isinstance(stream, ReceivedBody):
            stream = environ["wsgi.input"] = _RecordedStream(stream)
        result = self._application(environ, note_head)
        basis: Basis | None = environ.get(BASIS)
        body: bytes = stream.getvalue() if length and stream is not None else b""
        if basis is not None and sent and length is not None and len(body) == length:
            self._remember(head, body, _Answer(basis, *sent), result)
        return result

    def _remember(self, head: Head, body: bytes, answer: _Answer, result: Iterable[bytes]) -> None:
        entry = answer.basis.slot.entry
        is_replayable = (
            answer.status.startswith(("200", "304"))
            and entry is not None
            and result == [answer.body_of(entry)]
            and not any(name.lower() == "set-cookie" for name, _ in answer.headers)
            and _size_of((head, body)) <= MAX_KEY_BYTES
        )
        if not is_replayable:
            return
        with self._lock:
            if body:
                self._put((head, None), None)
            self._put((head, body), answer)
            max_bytes = MEAN_KEY_BYTES * self._max_answers
            while len(self._answers) > self._max_answers or self._key_bytes > max_bytes:
                self._forget_one()
        self._renewal.start()

    def _put(self, key: Key, answer: _Answer | None) -> None:
        if key not in self._answers:
            self._key_bytes += _size_of(key)
        self._answers[key] = answer

    def _forget_one(self) -> None:
        """Forget the oldest answer that was not used since the last search for one, or does not hold."""
        while True:
            key, answer = next(iter(self._answers.items()))
            if answer is None or not answer.was_used or answer.basis.slot.entry is None:
                del self._answers[key]
                self._key_bytes -= _size_of(key)
                return
            answer.was_used = False
            self._answers.move_to_end(key)


class _RecordedStream:
    """The stream of a short body, which keeps what is read from it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._parts: list[bytes] = []

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, as the stream itself does."""
        return self._noted(self._stream.read(size))

    def readline(self, size: int = -1) -> bytes:
        """Return the next line, as the stream itself does."""
        return self._noted(self._stream.readline(size))

    def getvalue(self) -> bytes:
        """Return what was read."""
        return b"".join(self._parts)

    def _noted(self, data: bytes) -> bytes:
        self._parts.append(data)
        return data


def noting_head(start_response: Any) -> tuple[Any, list[Any]]:
    """Return a function like ``start_response``, and the list that gets its status and headers."""
    sent: list[Any] = []

    def note(status: str, headers: Headers, exc_info: Any = None) -> Any:
        sent[:] = status, headers
        return start_response(status, headers, exc_info)

    return note, sent


def _size_of(key: Key) -> int:
    head, body = key
    return len(body or b"") + sum(len(part) for part in head if part)


def short_length_of(environ: Environ, *, limit_bytes: int = MAX_BODY_BYTES) -> int | None:
    """Return the announced length of a request's body; None when it is unknown or over the limit."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    announced = environ.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdecimal() and len(announced) <= _MAX_LENGTH_DIGITS):
        return None
    length = int(announced)
    return length if length <= limit_bytes else None
