"""The Django app of the category tree."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CategoriesConfig(AppConfig):
    """Registers the app under the label ``categories``."""

    name = "apps.categories"
    label = "categories"
    verbose_name = _("Categories")
