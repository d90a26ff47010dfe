"""The webhook of the collection service: probe, heartbeat, result; safe to call any number of times."""

from __future__ import annotations

from typing import Any

import structlog
from bson import ObjectId
from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apps.core.api.bodies import read_body
from apps.core.errors import PermissionDenied
from apps.mengla.ingest import refused_signatures
from apps.mengla.ingest.receive import has_valid_token, receive_or_defer
from apps.mengla.serializers import WebhookReceiptSerializer
from apps.mengla.upstream.signature import is_valid
from apps.mengla.upstream.webhook_body import Body, UnreadableBody, read_webhook_body

logger = structlog.get_logger(__name__)

SIGNATURE_HEADER = "X-Signature-256"


@extend_schema(tags=["webhook"], responses=WebhookReceiptSerializer)
class WebhookViewSet(ViewSet):
    """``/webhook/mengla-notify``."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="webhook_probe")
    def probe(self, request: Request) -> Response:
        """Respond to the probe of the service."""
        return Response({"status": "ready"})

    @extend_schema(operation_id="webhook_notify", request=OpenApiTypes.OBJECT)
    def notify(self, request: Request) -> Response:
        """Receive one call of the service."""
        # Otherwise Django would decode the query string with the charset of the body.
        request._request.encoding = "utf-8"
        raw = read_body(request._request, limit_bytes=settings.WEBHOOK_MAX_BYTES)
        origin = {
            "collection_id": request.query_params.get("collection"),
            "token": request.query_params.get("token"),
        }
        _verify(request, raw, origin)
        if ObjectId.is_valid(origin["collection_id"] or ""):
            # Until the response is sent. The call is genuine, so the id is one that we issued.
            structlog.contextvars.bind_contextvars(collection_id=origin["collection_id"])
        return Response({"status": receive_or_defer(_body_of(request, raw, origin), **origin).value})


def _verify(request: Request, raw: bytes, origin: dict[str, Any]) -> None:
    if settings.WEBHOOK_SECRET:
        is_genuine = is_valid(raw, request.headers.get(SIGNATURE_HEADER), settings.WEBHOOK_SECRET)
        if is_genuine:
            refused_signatures.note_valid()
        else:
            refused_signatures.note_refused(raw, **origin)
    else:
        is_genuine = has_valid_token(**origin)
    if not is_genuine:
        raise PermissionDenied(_("The signature or the token of this call is not valid."))


def _body_of(request: Request, raw: bytes, origin: dict[str, Any]) -> Body | UnreadableBody:
    try:
        return read_webhook_body(
            raw,
            content_type=request.headers.get("Content-Type", ""),
            content_encoding=request.headers.get("Content-Encoding", ""),
            limit_bytes=settings.WEBHOOK_MAX_BYTES,
            hidden=(origin["token"], settings.WEBHOOK_SECRET, settings.COLLECT_SERVICE_API_KEY),
        )
    except UnreadableBody as error:
        logger.warning("webhook_unreadable", reason=error.reason, excerpt=error.excerpt, size_bytes=len(raw))
        return error
