"""Keeps our secrets out of Django's DEBUG error pages and error mails."""

from __future__ import annotations

import re

from django.views.debug import SafeExceptionReporterFilter


class SecretFilter(SafeExceptionReporterFilter):
    """Also hides connection strings and addresses, which may contain a password."""

    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|MONGO_URI|REDIS_URI|DATABASES|CACHES|"
        "LOCATION|HOST$|ENVIRONMENT|_URLS?$",
        flags=re.IGNORECASE,
    )
