"""The stored category tree."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

NAME_SEPARATOR = ">"  # in names of level 2, behind the name of the parent


def own_part(name: str) -> str:
    """Return a name without its parents', which level 2 repeats: that of ``Kitchen>Pots`` is ``Pots``.

    A name with nothing before the separator has no parent: ``>1000`` is a range.
    """
    parents, _separator, own = name.rpartition(NAME_SEPARATOR)
    return (own.strip() or name) if parents.strip() else name


class Category(models.Model):
    """One node of the category tree, exactly as imported, plus what is needed to find and order it.

    Only the import writes rows, with one upsert per id. No foreign key refers to them, because a record
    outlives the category it was collected for.
    """

    cat_id = models.CharField(_("category id"), max_length=16, primary_key=True, db_column="_id")
    parent_id = models.CharField(_("parent id"), max_length=16, blank=True)
    level = models.PositiveSmallIntegerField(_("level"))
    position = models.PositiveIntegerField(_("position"))
    name_cn = models.CharField(_("Chinese name"), max_length=500, blank=True)
    name_ru = models.CharField(_("Russian name"), max_length=500, blank=True)
    data = models.JSONField(_("imported node"))
    data_hash = models.CharField(_("content hash"), max_length=64)
    updated_at = models.DateTimeField(_("updated at"))

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = ("level", "parent_id", "position")
        indexes = [models.Index(fields=["parent_id", "position"], name="category_parent_position")]

    def __str__(self) -> str:
        own = own_part(self.name_cn or self.name_ru)
        return f"{own} ({self.cat_id})" if own else self.cat_id
