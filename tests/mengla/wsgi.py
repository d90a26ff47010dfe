"""The product as the web server calls it, for tests of what is in front of Django."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.core.caching.renewal import Renewal
from apps.core.web.handler import Handler

FIGURES = "/api/mengla/"
QUERY = "action=hot&primaryCatId=1001&timest=2025-06"
BODY = json.dumps({"catId": "1001", "timest": "2025-06"}).encode()
# What every answer has anew, and the server's own.
NEW = {"age", "x-request-id"}


@dataclass(frozen=True)
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes
    has_reached_django: bool

    @property
    def is_replayed(self) -> bool:
        """Whether what is in front of Django has answered; :attr:`is_short` is another name."""
        return not self.has_reached_django

    is_short = is_replayed

    @property
    def lasting(self) -> tuple[str, dict[str, str], bytes]:
        """What does not differ between two answers to the same request."""
        headers = {name: value for name, value in self.headers.items() if name not in NEW}
        return self.status, headers, self.body


class Site:
    """The product as the web server calls it, for the holder of one token.

    ``in_front`` makes the application in front of Django.
    """

    def __init__(self, token: str, in_front: Callable[[Any, Renewal], Any]) -> None:
        self.token = token
        self._handler = Handler()
        self._whole_way_count = 0
        self.renewal = Renewal()
        self._application = in_front(self._go_whole_way, self.renewal)
        self.environ_class: type[dict[str, Any]] = dict

    def _go_whole_way(self, environ: Any, start_response: Any) -> Any:
        self._whole_way_count += 1
        return self._handler(environ, start_response)

    def send(
        self, path: str = FIGURES, query: str = QUERY, *, body: bytes = b"", method: str = "", **extra: str
    ) -> Answer:
        sent: list[Any] = []
        environ = self.environ_class(
            {
                "REQUEST_METHOD": method or ("POST" if body else "GET"),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "REMOTE_ADDR": "127.0.0.1",
                "HTTP_HOST": "localhost",
                "HTTP_AUTHORIZATION": f"Bearer {self.token}",
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(body),
                "wsgi.errors": io.StringIO(),
                **({"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))} if body else {}),
                **extra,
            }
        )
        before = self._whole_way_count
        content = b"".join(self._application(environ, lambda *given: sent.append(given)))
        (status, headers, *_), *_more = sent
        lowered = [(name.lower(), value) for name, value in headers]
        assert len(dict(lowered)) == len(lowered), "a header is there twice"
        return Answer(status, dict(lowered), content, has_reached_django=self._whole_way_count > before)

    def post(self, action: str, body: bytes = BODY, **extra: str) -> Answer:
        return self.send(f"/api/mengla/{action}", "", body=body, **extra)

    def pair(self, *given: Any, **options: Any) -> tuple[Answer, Answer]:
        """Send a new request until Django does not see it; returns its last answer of Django, and that."""
        answers = [self.send(*given, **options)]
        while answers[-1].has_reached_django:
            assert len(answers) < 4, "the answer is not remembered"
            answers.append(self.send(*given, **options))
        return answers[-2], answers[-1]
