"""Records and collections in the Django admin."""

from __future__ import annotations

from apps.mengla.admin.collections import CollectionAdmin
from apps.mengla.admin.records import RecordAdmin

__all__ = ["CollectionAdmin", "RecordAdmin"]
