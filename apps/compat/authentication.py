"""Who calls: as in our own API, and holders of permanent tokens of the former program as readers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from apps.auth import services
from apps.auth.entry.authentication import BearerAuthentication
from apps.auth.principal import Principal
from apps.core import market_clock


class CompatAuthentication(BearerAuthentication):
    """Accepts what our own API accepts, and the former program's tokens until COMPAT_TOKENS_UNTIL."""

    def resolve(self, text: str, *, now: datetime) -> Principal:
        """Return the caller with this token. Raises as :class:`BearerAuthentication` does."""
        last_day = settings.COMPAT_TOKENS_UNTIL
        if last_day is not None:
            until = market_clock.midnight(last_day + timedelta(days=1))
            former = services.resolve_former_token(text, now=now, until=until)
            if former is not None:
                return former
        return super().resolve(text, now=now)
