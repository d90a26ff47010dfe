"""The Django app of the former program's contract."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CompatConfig(AppConfig):
    """Registers the app; it has no models, and its addresses exist only with COMPAT_API."""

    name = "apps.compat"
    label = "collector_compat"
    verbose_name = _("Former API")
