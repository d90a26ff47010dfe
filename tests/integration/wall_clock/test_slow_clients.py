"""Clients that send slowly or log in all at once hold some threads of the web server, never all of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.stack import Stack
from tests.integration.waiting import at_once, timed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

SOCKETS = 96  # six for each thread of the shared stack
LOGINS = 10
QUICK_SECONDS = 2.0
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
HEAD = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SLOW_REQUESTS = (
    HEAD % b"/api/auth/login" + JSON + b"Content-Length: 100\r\n\r\n{",
    HEAD % b"/api/auth/login" + JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    HEAD % b"/api/webhook/mengla-notify" + JSON + b"Content-Length: 9999999\r\n\r\n",
    HEAD % b"/admin/login/" + FORM + b"Content-Length: 100\r\n\r\nusername=",
)


@contextlib.contextmanager
def slow_senders(stack: Stack, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that announce a body and do not send it."""
    address = urlsplit(stack.url)
    with contextlib.ExitStack() as opened:
        senders = []
        for number in range(count):
            sender = opened.enter_context(socket.create_connection((address.hostname, address.port), 10))
            sender.sendall(SLOW_REQUESTS[number % len(SLOW_REQUESTS)])
            sender.setblocking(False)
            senders.append(sender)
        yield senders


def refused(senders: list[socket.socket]) -> int:
    """How many of them have been answered with 429 already."""
    answers = []
    for sender in senders:
        with contextlib.suppress(OSError):
            answers.append(sender.recv(15, socket.MSG_PEEK))
    assert set(answers) <= {b"HTTP/1.1 429 To"}, answers
    return len(answers)


def test_slow_senders_without_a_token_leave_threads_for_everybody_else(stack: Stack) -> None:
    question = stack.questions.one()
    stack.collect(question)
    with stack.web.clients(stack.token) as by_worker, slow_senders(stack, SOCKETS) as senders:
        held = stack.shape.web_workers * stack.shape.web_threads // 2
        wait_until(
            lambda: refused(senders) >= SOCKETS - held, timeout_seconds=20, what="the others are refused"
        )
        for (client,) in by_worker.values():
            for path, parameters in (("/health", {}), ("/api/mengla/", question.parameters)):
                answer, seconds = timed(partial(client.get, path, params=parameters))
                assert answer.status_code == 200
                assert seconds < QUICK_SECONDS
    # They are gone, and their places are free again.
    wait_until(
        lambda: all(empty_login(stack) == 400 for _ in range(8)), timeout_seconds=20, what="free places"
    )


def empty_login(stack: Stack) -> int:
    with stack.client() as client:
        return client.post("/api/auth/login", json={}).status_code


def test_a_body_that_announces_too_much_is_refused_at_once(stack: Stack) -> None:
    address = urlsplit(stack.url)
    with socket.create_connection((address.hostname, address.port), 10) as sender:
        head = SLOW_REQUESTS[0].replace(b"Content-Length: 100", b"Content-Length: 99999999999")
        sender.sendall(head)
        assert sender.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"PUT", b"/api/panel-config", b"401"),
        (b"POST", b"/api/nothing", b"404"),
        (b"PUT", b"/health", b"405"),
    ],
)
@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_who_is_refused_before_the_body_has_come_learns_that_the_connection_ends(
    stack: Stack, method: bytes, path: bytes, status: bytes, length: bytes
) -> None:
    """Otherwise its next request could be sent into a closed connection."""
    with connection_to(stack) as sender:
        sender.sendall(
            method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + JSON + length + b"\r\n\r\n"
        )
        head = received(sender)
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nconnection: close\r\n" in head.lower()


def test_who_is_refused_after_its_body_was_read_keeps_the_connection(stack: Stack) -> None:
    body = b"{}"
    request = SLOW_REQUESTS[0].split(b"Content-Length")[0] + b"Content-Length: 2\r\n\r\n" + body
    with connection_to(stack) as sender:
        for _ in range(2):
            sender.sendall(request)
            head = received(sender, until=b'"error"')
            assert head.startswith(b"HTTP/1.1 400")
            assert b"connection: close" not in head.lower()


@pytest.mark.parametrize(
    "ambiguous",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"Content-Length: 4, 4\r\n\r\nabcd",
        b"Content-Length: +4\r\n\r\nabcd",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
        b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_no_second_request_hides_in_the_body_of_a_first_one(stack: Stack, ambiguous: bytes) -> None:
    """A proxy might read the length of such a request otherwise; it gets one refusal and no connection."""
    hidden = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connection_to(stack) as sender:
        sender.sendall(HEAD % b"/api/auth/login" + JSON + ambiguous + hidden)
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            while part := sender.recv(65536):
                answers += part
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 400 ")


def connection_to(stack: Stack) -> socket.socket:
    address = urlsplit(stack.url)
    return socket.create_connection((address.hostname, address.port), 10)


def received(sender: socket.socket, *, until: bytes = b"\r\n\r\n") -> bytes:
    data = b""
    while until not in data:
        part = sender.recv(65536)
        assert part, data
        data += part
    return data


@pytest.mark.parametrize(
    "ending", [b"Content-Length: 100\r\n\r\n%s", b"Transfer-Encoding: chunked\r\n\r\n9\r\n%s\r\nZZ\r\n"]
)
def test_a_body_that_is_cut_off_or_malformed_is_400(stack: Stack, ending: bytes) -> None:
    address = urlsplit(stack.url)
    head = HEAD % b"/api/auth/login" + JSON
    with socket.create_connection((address.hostname, address.port), 10) as sender:
        sender.sendall(head + ending % b'{"a": "b"')
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(12) == b"HTTP/1.1 400"


@pytest.fixture
def _fresh_login_limit(stack: Stack) -> Iterator[None]:
    """Let no login of another test count against these, nor these against those of another."""
    forget_login_tries(stack)
    yield
    forget_login_tries(stack)


def forget_login_tries(stack: Stack) -> None:
    with stack.redis() as client:
        for key in client.scan_iter("*throttle*"):
            client.delete(key)


@pytest.mark.usefixtures("_fresh_login_limit")
def test_ten_logins_at_once_do_not_stall_other_requests(stack: Stack) -> None:
    question = stack.questions.one()
    stack.collect(question)
    is_over = threading.Event()
    seconds_of_others: list[float] = []
    with stack.web.clients(stack.token, per_worker=LOGINS + 1) as by_worker:
        reading, *logging_in = next(iter(by_worker.values()))  # all of them to the same process

        def read_on() -> None:
            while not is_over.is_set():
                answer, seconds = timed(partial(stack.ask, question, client=reading))
                assert answer.status_code == 200
                seconds_of_others.append(seconds)

        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            statuses = at_once(partial(log_in, client, n) for n, client in enumerate(logging_in))
        finally:
            is_over.set()
            reader.join()
    assert set(statuses) == {401, 429}  # three of the four threads may wait for their turn, the fourth reads
    assert max(seconds_of_others) < QUICK_SECONDS


def log_in(client: httpx.Client, number: int) -> int:
    body = {"username": f"nobody-{number}", "password": "a wrong password"}
    return client.post("/api/auth/login", json=body).status_code
