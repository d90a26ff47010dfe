"""The webhook of the collection service: probe, heartbeat, result; safe to call any number of times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from bson import ObjectId
from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json, success_body
from apps.core.api.openapi.facts import answers
from apps.core.api.replies import Environ, Reply, query_of, reply_to_anyone
from apps.core.errors import DependencyUnavailable, PayloadTooLarge, PermissionDenied, RateLimited
from apps.mengla.ingest import refused_signatures
from apps.mengla.ingest.receive import has_valid_token, receive_or_defer
from apps.mengla.serializers import WebhookReceiptSerializer
from apps.mengla.upstream.signature import is_valid
from apps.mengla.upstream.webhook_body import Body, UnreadableBody, read_webhook_body

logger = structlog.get_logger(__name__)

_SIGNATURE = "HTTP_X_SIGNATURE_256"  # the header X-Signature-256
_SIGNATURE_PARAMETER = OpenApiParameter(
    "X-Signature-256",
    str,
    OpenApiParameter.HEADER,
    description="sha256=<hex HMAC-SHA256 of the raw body with WEBHOOK_SECRET>; needed when that is set.",
    pattern="^sha256=[0-9a-f]{64}$",
)
_PROGRESS = OpenApiExample("Progress", {"executionId": "exec-7f3a21", "status": "running"}, request_only=True)


@extend_schema(tags=["webhook"], responses=WebhookReceiptSerializer)
class WebhookViewSet(ViewSet):
    """``/webhook/mengla-notify``."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="webhook_probe", summary="Probe of the service")
    def probe(self, request: Request) -> HttpResponse:
        """Respond to the probe of the service."""
        return reply_to_anyone(request, _probe)

    @extend_schema(
        operation_id="webhook_notify",
        summary="One call of the service",
        description="A heartbeat, a failure or the result of an execution. Every call may be repeated.",
        parameters=[_SIGNATURE_PARAMETER],
        request=OpenApiTypes.OBJECT,
        examples=[_PROGRESS],
    )
    @answers(PermissionDenied, PayloadTooLarge, RateLimited, DependencyUnavailable)
    def notify(self, request: Request) -> HttpResponse:
        """Receive one call of the service."""
        return reply_to_anyone(request, _receive, limit_bytes=settings.WEBHOOK_MAX_BYTES)


def _probe(environ: Environ, body: bytes) -> Reply:
    return _receipt("ready")


def _receive(environ: Environ, body: bytes) -> Reply:
    parameters = query_of(environ)
    origin = {"collection_id": parameters.get("collection"), "token": parameters.get("token")}
    _verify(environ, body, origin)
    facts = {}
    if ObjectId.is_valid(origin["collection_id"] or ""):
        # The call is genuine, so the id is one that we issued.
        facts["collection_id"] = str(origin["collection_id"])
        structlog.contextvars.bind_contextvars(**facts)  # until the response is sent
    status = receive_or_defer(_body_of(environ, body, origin), **origin).value
    return _receipt(status, facts)


def _receipt(status: str, facts: Mapping[str, str] | None = None) -> Reply:
    return Reply(
        status=200,
        headers={"Content-Type": JSON_CONTENT_TYPE},
        body=dump_json(success_body({"status": status})),
        facts=facts or {},
    )


def _verify(environ: Environ, raw: bytes, origin: dict[str, Any]) -> None:
    if settings.WEBHOOK_SECRET:
        is_genuine = is_valid(raw, environ.get(_SIGNATURE), *_secrets())
        if is_genuine:
            refused_signatures.note_valid()
        else:
            refused_signatures.note_refused(raw, **origin)
    else:
        is_genuine = has_valid_token(**origin)
    if not is_genuine:
        raise PermissionDenied(_("The signature or the token of this call is not valid."))


def _secrets() -> tuple[str, ...]:
    """Return the key that the service should sign with, then those that are accepted beside it."""
    return (settings.WEBHOOK_SECRET, *settings.WEBHOOK_SECRET_PREVIOUS)


def _body_of(environ: Environ, raw: bytes, origin: dict[str, Any]) -> Body | UnreadableBody:
    try:
        return read_webhook_body(
            raw,
            content_type=environ.get("CONTENT_TYPE", ""),
            content_encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
            limit_bytes=settings.WEBHOOK_MAX_BYTES,
            hidden=(origin["token"], *_secrets(), settings.COLLECT_SERVICE_API_KEY),
        )
    except UnreadableBody as error:
        logger.warning("webhook_unreadable", reason=error.reason, excerpt=error.excerpt, size_bytes=len(raw))
        return error
