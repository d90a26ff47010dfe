"""Errors of this app."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import Conflict, NotFound


class VersionConflict(Conflict):
    """The configuration was changed since the caller read it; ``version`` is the current one."""

    def __init__(self, version: int) -> None:
        super().__init__(
            _("The panel configuration has changed in the meantime. Reload it and try again."),
            detail=f"version={version}",
        )
        self.version = version


class UnknownModule(NotFound):
    """There is no module with this id."""

    def __init__(self) -> None:
        super().__init__(_("There is no such panel module."))


class UnknownTask(NotFound):
    """There is no panel task with this id."""

    def __init__(self) -> None:
        super().__init__(_("There is no such panel task."))
