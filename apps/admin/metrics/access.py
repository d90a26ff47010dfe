"""Access to ``/metrics``: only clients that send METRICS_TOKEN.

The address of a client decides nothing: a proxy on this machine has the same one as a client on it.
"""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

_SCHEME = "Bearer "


def refusal_of(request: HttpRequest) -> HttpResponse | None:
    """Return the response that refuses a client; None when the client may read the metrics."""
    if not settings.METRICS_TOKEN:
        return _refuse(
            403, _("Set METRICS_TOKEN on the server, and send it as a bearer token to read the metrics.")
        )
    if _has_token(request.headers.get("Authorization", "")):
        return None
    return _refuse(
        401, _("The metrics token is missing or wrong."), {"WWW-Authenticate": 'Bearer realm="metrics"'}
    )


def _has_token(header: str) -> bool:
    scheme, token = header[: len(_SCHEME)], header[len(_SCHEME) :]
    is_same = hmac.compare_digest(_bytes(token), _bytes(settings.METRICS_TOKEN))
    return scheme.lower() == _SCHEME.lower() and is_same


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        f"{message}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
