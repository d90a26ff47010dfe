"""Starts the whole product on one machine and collects its first figures: ``bin/quickstart``.

Runs outside Django, because there are no settings before it has started the servers they name.
``__main__`` is the way through; ``stack`` starts the parts, ``first_figures`` uses them over HTTP.
"""

from __future__ import annotations


class QuickstartError(RuntimeError):
    """Quickstart cannot go on; the message is for people."""

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
