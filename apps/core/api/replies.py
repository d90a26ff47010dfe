"""Replies: what a view answers before the layers around it add their headers; and the offer of the short way.

A view that is asked often leaves its work to an :class:`Address`, from the parameters to the :class:`Reply`.
With :func:`reply_to` it offers the same to :mod:`apps.core.web.short_way`, for the next request of the same
caller to the same address; the headers that the layers have added before are added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol

import structlog
from django.http import HttpResponse, QueryDict
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language
from rest_framework.request import Request

from apps.core import process_state
from apps.core.api.bodies import read_body
from apps.core.api.parsers import loads_shallow

Environ = dict[str, Any]
# Keys in the environment of a request: what its view offers, the reply of its view, the outcome that the
# short way has for it already (a reply or an exception), and what was bound to its log lines when it failed.
OFFER, REPLY = "short_way.offer", "short_way.reply"
OUTCOME, BOUND = "short_way.outcome", "short_way.bound"
_MAX_JSON_BYTES, _MAX_PUBLIC_BYTES = 4096, 999_999
_MAX_REMEMBERED, _MAX_REMEMBERED_BYTES = 4096, 512


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: ``name`` is for people, ``key`` is no secret and different for each user and token."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a view answers, with the headers that are its own.

    ``vary`` names the request headers that it depends on; ``facts`` are bound to the request's log lines.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    vary: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


class Address(Hashable, Protocol):
    """What is the same for all requests to an address; compared by value, and hashable."""

    def question_of(self, parameters: Any) -> Any:
        """Return what the parameters ask for: the same for the same ones, and never changed by anybody.

        Raises what is wrong with the parameters.
        """

    def reply(self, environ: Environ, question: Any, caller: Caller) -> Reply:
        """Do the work; ``environ`` is the environment of the request. Errors are raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How to answer the next request of the same frame.

    ``reply`` gets its environment and body, and returns None when only the whole way can read it; errors are
    raised. ``language`` is that of the request. A longer body than ``max_body_bytes`` goes the whole way.
    ``is_public``: the address knows its callers by other means than a token.
    """

    reply: Callable[[Environ, bytes], Reply | None]
    language: str
    max_body_bytes: int
    is_public: bool


def caller_of(request: Request) -> Caller:
    """Return who asks; the views require an accepted caller."""
    name = request.user.get_username()
    return Caller(name, getattr(request.user, "caller_key", name))


def reply_to(request: Request, address: Address) -> HttpResponse:
    """Answer a GET by its query string, or a POST by its JSON body; offer the short way.

    Only for views that every accepted caller may use.
    """
    is_post = request.method == "POST"
    caller = caller_of(request)

    def answer() -> Reply:
        question = address.question_of(request.data if is_post else request.query_params)
        return address.reply(request.META, question, caller)

    offer = Offer(
        reply=partial(_reply_to_question, address, caller, is_post),
        language=get_language() or "",
        max_body_bytes=_MAX_JSON_BYTES if is_post else 0,
        is_public=False,
    )
    # The charset of the content type would decide how the query string is decoded.
    return _respond(request, answer, offer if request._request.encoding is None else None)


def reply_to_anyone(
    request: Request, serve: Callable[[Environ, bytes], Reply], *, limit_bytes: int = 0
) -> HttpResponse:
    """Answer a request by its environment and its whole body, without a caller; offer the short way.

    :raises apps.core.errors.PayloadTooLarge: when the body is longer than ``limit_bytes``.
    """
    body = read_body(request._request, limit_bytes=limit_bytes) if limit_bytes else b""
    offer = Offer(
        reply=serve,
        language=get_language() or "",
        max_body_bytes=min(limit_bytes, _MAX_PUBLIC_BYTES),
        is_public=True,
    )
    return _respond(request, lambda: serve(request.META, body), offer)


def _respond(request: Request, answer: Callable[[], Reply], offer: Offer | None) -> HttpResponse:
    environ: Environ = request.META
    outcome = environ.pop(OUTCOME, None)
    if isinstance(outcome, Exception):
        structlog.contextvars.bind_contextvars(**environ.pop(BOUND, {}))
        raise outcome
    reply: Reply = outcome or answer()
    if offer is not None and request.method in ("GET", "POST"):
        environ[REPLY], environ[OFFER] = reply, offer
    return response_of(reply)


def _reply_to_question(
    address: Address, caller: Caller, has_body: bool, environ: Environ, body: bytes
) -> Reply | None:
    if has_body and (not body or environ.get("QUERY_STRING")):
        return None  # what it asks for depends on its content type; parameters in the URL are refused
    sent = body if has_body else _sent_query_of(environ)
    find = _remembered_question if len(sent) <= _MAX_REMEMBERED_BYTES else _question
    return address.reply(environ, find(address, sent, has_body), caller)


def response_of(reply: Reply) -> HttpResponse:
    """Return a reply as Django's response."""
    structlog.contextvars.bind_contextvars(**reply.facts)  # until the response is sent
    response = HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))
    if "Content-Type" not in reply.headers:
        del response.headers["Content-Type"]  # Django's default
    if reply.vary:
        patch_vary_headers(response, reply.vary)
    return response


def query_of(environ: Environ) -> QueryDict:
    """Return the parameters of the query string, which is UTF-8 whatever the body is."""
    return QueryDict(_sent_query_of(environ), encoding="utf-8")


def _sent_query_of(environ: Environ) -> bytes:
    # The server has decoded the bytes as Latin-1.
    sent: str = environ.get("QUERY_STRING", "")
    return sent.encode("latin-1")


def _question(address: Address, sent: bytes, is_body: bool) -> Any:
    return address.question_of(loads_shallow(sent) if is_body else QueryDict(sent))


# Readers ask the same again and again. Nothing that is wrong is remembered, because it is raised.
_remembered_question = lru_cache(maxsize=_MAX_REMEMBERED)(_question)
process_state.register(_remembered_question.cache_clear)
