"""Records and collections in the Django admin."""

from __future__ import annotations

from apps.mengla.admin.collections import CollectionAdmin
from apps.mengla.admin.records import RecordAdmin
from apps.mengla.admin.run_grid import RunGrid

__all__ = ["CollectionAdmin", "RecordAdmin", "RunGrid"]
