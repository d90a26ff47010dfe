"""Starts the whole product on one machine and collects its first figures: ``bin/quickstart``.

It runs outside Django, because the settings name servers that it has to start first. ``__main__`` is the
entry point, ``stack`` starts the parts, and ``first_figures`` uses them over HTTP.
"""

from __future__ import annotations


class QuickstartError(RuntimeError):
    """Quickstart cannot continue; the message is shown to people."""

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
