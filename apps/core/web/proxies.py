"""The real client of a request that comes through a trusted proxy.

Any client can send ``X-Forwarded-For``. Only the part that the machines in TRUSTED_PROXIES have written is
used: each of them appends, on the right, the address that called it.
"""

from __future__ import annotations

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.core.web.middleware import GetResponse

_HOST_AND_PORT = re.compile(r"(?:([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?)")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxyMiddleware:
    """Gives a request from a trusted proxy the address and the scheme of the proxy's client."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Set both before other code reads them."""
        if _is_trusted(_parse(request.META.get("REMOTE_ADDR", ""))):
            scheme = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
            # A proxy that says nothing is believed to have done its work: a redirect would never end.
            if scheme == "https" or (settings.HTTPS_ONLY and not scheme):
                request.META["wsgi.url_scheme"] = "https"
            request.META["REMOTE_ADDR"] = client_address(
                request.META["REMOTE_ADDR"], request.headers.get("X-Forwarded-For", "")
            )
        return self.get_response(request)


def client_address(proxy: str, forwarded_for: str) -> str:
    """Return the right-most address that is not a trusted proxy; stops at text that is not an address.

    A proxy may write the port of its client, too; it is left out.
    """
    nearest = proxy
    for hop in reversed(forwarded_for.split(",")):
        # A zone ("fe80::1%eth0") may be any text, and means something on the proxy only.
        address = _parse(_without_port(hop.strip())) if "%" not in hop else None
        if address is None:
            break
        nearest = str(address)
        if not _is_trusted(address):
            break
    return nearest


def _is_trusted(address: Address | None) -> bool:
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def _without_port(hop: str) -> str:
    """Return the address in ``192.0.2.1:80`` or ``[2001:db8::1]:80``, and any other text unchanged."""
    found = _HOST_AND_PORT.fullmatch(hop)
    return found[1] or found[2] if found else hop


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
