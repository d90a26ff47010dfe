"""The errors of the category app."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, NotFound


class InvalidCategoryFile(InvalidInput):
    """The category file is not valid, and nothing was changed.

    ``problems`` are the first ones, each with its place in the file (``[3].children[7].catId: ...``);
    ``problem_count`` counts all of them.
    """

    def __init__(self, problems: Sequence[str], *, problem_count: int | None = None) -> None:
        self.problems = tuple(problems)
        self.problem_count = len(self.problems) if problem_count is None else problem_count
        messages = list(self.problems)
        if hidden := self.problem_count - len(self.problems):
            messages.append(_("and %(count)d more") % {"count": hidden})
        super().__init__(_("The category file is not valid; nothing was changed."), fields={"file": messages})


class CategoryNotFound(NotFound):
    """No category has this id."""

    def __init__(self) -> None:
        super().__init__(_("There is no category with this id."))
