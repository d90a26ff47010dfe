"""Access to ``/metrics``: clients that send METRICS_TOKEN; if it is not set, clients on this machine."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

_SCHEME = "Bearer "
# A proxy on this machine forwards requests of remote clients, and sets one of these headers.
_PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


def refusal_of(request: HttpRequest) -> HttpResponse | None:
    """Return the response that refuses a client; None when the client may read the metrics."""
    if settings.METRICS_TOKEN:
        if _has_token(request.headers.get("Authorization", "")):
            return None
        return _refuse(
            401, _("The metrics token is missing or wrong."), {"WWW-Authenticate": 'Bearer realm="metrics"'}
        )
    if _is_local(request):
        return None
    return _refuse(403, _("Without METRICS_TOKEN, the metrics are available on this machine only."))


def _has_token(header: str) -> bool:
    scheme, token = header[: len(_SCHEME)], header[len(_SCHEME) :]
    is_same = hmac.compare_digest(_bytes(token), _bytes(settings.METRICS_TOKEN))
    return scheme.lower() == _SCHEME.lower() and is_same


def _is_local(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        f"{message}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
