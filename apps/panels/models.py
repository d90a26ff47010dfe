"""The stored configuration of the panels: one document, so that each change of it is one atomic write.

Only ``services`` writes it. The modules are stored inside the layout's document; :class:`PanelModule`
reads them one by one.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.panels.choices import DefaultPeriod, ModuleId


class PanelLayout(models.Model):
    """The whole configuration, in one document. Every change increments its ``version``."""

    id = models.CharField(max_length=16, primary_key=True, db_column="_id")
    default_period = models.CharField(_("default period"), max_length=8, choices=DefaultPeriod.choices)
    shows_rank_period_selector = models.BooleanField(_("shows the rank period selector"))
    modules = models.JSONField(_("modules"))
    version = models.IntegerField(_("version"))
    updated_by = models.CharField(_("updated by"), max_length=160, blank=True)
    updated_at = models.DateTimeField(_("updated at"), null=True)

    class Meta:
        db_table = "panel_layout"
        verbose_name = _("panel layout")
        verbose_name_plural = _("panel layout")

    def __str__(self) -> str:
        return str(self._meta.verbose_name)


class PanelModule(models.Model):
    """One module of the layout's document, read through a MongoDB view; it cannot be saved."""

    id = models.CharField(
        _("module"), max_length=16, primary_key=True, db_column="_id", choices=ModuleId.choices
    )
    name = models.CharField(_("name"), max_length=50)
    is_enabled = models.BooleanField(_("is enabled"))
    order = models.IntegerField(_("order"))
    props = models.JSONField(_("properties"), default=dict)

    class Meta:
        managed = False  # a migration creates the view
        db_table = "panel_modules"
        verbose_name = _("panel module")
        verbose_name_plural = _("panel modules")
        ordering = ("order",)

    def __str__(self) -> str:
        return self.name
