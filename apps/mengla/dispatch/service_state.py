"""Says why nothing is being collected, as a text for readers."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from apps.mengla.upstream import breaker


def unavailable_reason() -> str | None:
    """Return why nothing is being collected at present, None when the service is available."""
    if not settings.COLLECT_SERVICE_URL:
        return _("No collection service is configured; the figures will be collected once it is.")
    if breaker.snapshot().is_unavailable:
        return _("The collection service is unavailable; the figures will be collected once it is back.")
    return None
