"""Who a request really comes from, when it comes through a proxy of ours.

Anybody can write ``X-Forwarded-For``. It is believed as far as the machines in TRUSTED_PROXIES have written
it: each of them adds, on the right, the address it was called from.
"""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.core.web.middleware import GetResponse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxyMiddleware:
    """Gives a request that a trusted proxy hands on the address and the scheme of the proxy's client."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Set both before anything looks at them."""
        if _is_trusted(_parse(request.META.get("REMOTE_ADDR", ""))):
            if request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower() == "https":
                request.META["wsgi.url_scheme"] = "https"
            request.META["REMOTE_ADDR"] = client_address(
                request.META["REMOTE_ADDR"], request.headers.get("X-Forwarded-For", "")
            )
        return self.get_response(request)


def client_address(proxy: str, forwarded_for: str) -> str:
    """Return the right-most address that no trusted proxy has; nothing left of what is no address counts."""
    nearest = proxy
    for hop in reversed(forwarded_for.split(",")):
        address = _parse(hop.strip())
        if address is None:
            break
        nearest = str(address)
        if not _is_trusted(address):
            break
    return nearest


def _is_trusted(address: Address | None) -> bool:
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
