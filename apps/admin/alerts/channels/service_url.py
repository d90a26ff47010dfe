"""Sends an alert event to one address of ALERT_URLS, through the library apprise.

Addresses hold credentials in any of their parts. Therefore only their scheme and a fingerprint are ever
shown, what the library logs is dropped, and its errors are reduced to what is known to hold no address.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.admin.alerts.channels.base import (
    TIMEOUT_SECONDS,
    TOTAL_SECONDS,
    NotDeliveredError,
    not_accepted,
    refusal,
    send_in_time,
)
from apps.admin.alerts.channels.notice_text import notice_text
from apps.admin.alerts.words import INVALID_ADDRESS

_FINGERPRINT_LENGTH = 8
_PORTS = range(1, 65_536)  # the library takes any number
_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_CONNECTION = re.compile(r"\bconnection error\b|socket exception", re.IGNORECASE)


def configured_urls() -> list[str]:
    """Return the addresses of ALERT_URLS."""
    urls: list[str] = settings.ALERT_URLS.split()
    return urls


def channel_ids(url: str) -> list[str]:
    """Return the scheme and a fingerprint of an address, which does not tell what is in it.

    The first one is made with SECRET_KEY, the others with the keys of SECRET_KEY_PREVIOUS.
    """
    scheme = url.partition("://")[0].lower()
    # Keyed: otherwise guesses of a password in the address could be tried against it.
    digests = [
        salted_hmac("alerts.channels", url, secret=key, algorithm="sha256").hexdigest()
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    return [f"{scheme}-{digest[:_FINGERPRINT_LENGTH]}" for digest in digests]


def is_valid(url: str) -> bool:
    """Whether the library can send to such an address; connects to nothing."""
    library = _library()
    try:
        plugin = _plugin(library, url)
    except Exception:  # noqa: BLE001 - a plugin stumbled; its error may have the address
        return False
    return plugin is not None and (plugin.port is None or plugin.port in _PORTS)


def send_notice(url: str, _notice_id: str, event: Mapping[str, Any]) -> None:
    """Send one event as a message, in the language of LANGUAGE_CODE.

    :raises NotDeliveredError: when the service does not accept it in time.
    """
    text = notice_text(event)
    send_in_time(partial(_send, url, text.title, text.body, text.type), seconds=TOTAL_SECONDS)


def _send(url: str, title: str, body: str, kind: str) -> NotDeliveredError | None:
    """Send the message; returns the error when that fails."""
    try:
        library = _library()
        plugin = _plugin(library, url)
        if plugin is None:
            return NotDeliveredError("invalid address", message=INVALID_ADDRESS(), is_permanent=True)
        plugin.socket_connect_timeout = plugin.socket_read_timeout = TIMEOUT_SECONDS
        sender = library.Apprise(asset=plugin.asset)
        sender.add(plugin)
        result: Any = sender.notify(title=title, body=body, notify_type=kind, body_format="text")
        return None if result else _problem(" ".join(entry.message for entry in result.logs()))
    except Exception as error:  # noqa: BLE001 - after any error the notice counts as not delivered
        return NotDeliveredError(type(error).__name__)


def _problem(logged: str) -> NotDeliveredError:
    """Return the error for what the library has logged, of which only the status is kept."""
    found = _STATUS.search(logged)
    if found is not None:
        return refusal(int(found[1]))
    return NotDeliveredError("ConnectionError") if _CONNECTION.search(logged) else not_accepted()


def _plugin(library: Any, url: str) -> Any:
    # With a limit of its own the library would send in a thread of a pool, which Python joins at exit: a
    # receiver that sends byte by byte would keep the process from ending. Our own limit has no such thread.
    asset = library.AppriseAsset(
        app_id="MengLa Collector", app_desc="", app_url="", async_mode=False, service_timeout=0
    )
    return library.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


def _library() -> Any:
    """Import the library, and keep what it logs to ourselves: it may contain addresses and receivers."""
    import apprise  # takes a second, and most processes never send a notice

    logger = logging.getLogger("apprise")
    if logger.propagate:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)  # its debug lines have the paths
    return apprise
