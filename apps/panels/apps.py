"""The Django app of the panels."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PanelsConfig(AppConfig):
    """Registers the app under the label ``panels``."""

    name = "apps.panels"
    label = "panels"
    verbose_name = _("Panels")
