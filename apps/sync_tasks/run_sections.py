"""Further sections of the page of a run, which the app that does the work of runs adds."""

from __future__ import annotations

from typing import Protocol

from django.http import HttpRequest

from apps.sync_tasks.models import SyncTask


class RunSection(Protocol):
    """A section below the fields of a run.

    Some of its elements may be refreshed while the run is under way: each has the attributes ``data-run``,
    with the id of the run, and ``data-piece``, with the name of the piece.
    """

    def page(self, request: HttpRequest, task: SyncTask) -> str:
        """Return the HTML of the section; empty if the run has none."""

    def pieces(self, request: HttpRequest, task: SyncTask) -> dict[str, str]:
        """Return the HTML of the elements to refresh, by the names of the pieces."""


_sections: list[RunSection] = []


def register_section(section: RunSection) -> None:
    """Add a section to the pages of all runs; called once, when the admin is loaded."""
    _sections.append(section)


def sections() -> list[RunSection]:
    """Return the sections in the order in which they were added."""
    return list(_sections)
