"""The compilers of django-mongodb-backend, of which the one for reading honours ``defer`` and ``only``."""

from __future__ import annotations

from typing import Any

from django_mongodb_backend import compiler
from django_mongodb_backend.compiler import (
    SQLAggregateCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)

__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]


class SQLCompiler(compiler.SQLCompiler):  # type: ignore[misc]
    """Reads only the fields that a query set has not deferred.

    The backend itself would read whole documents, however large, for each row of a list.
    """

    def build_query(self, columns: Any = None) -> Any:
        """Return the query; ``columns`` are None for whole documents."""
        if columns is None and self.query.default_cols and self.query.get_select_mask():
            columns = self.columns
        return super().build_query(columns)
