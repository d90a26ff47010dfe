"""The picker of categories: a select over both levels, which ``picker.js`` makes searchable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.categories.selectors import NamedCategory, list_named_tree

MAX_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class CategoryPicker:
    """A select of one category with its chosen value, right or wrong.

    ``firsts`` are choices above all categories, as pairs of a value and a name.
    """

    name: str
    label: str
    value: str
    fault: str = ""
    firsts: tuple[tuple[str, str], ...] = ()
    tree: list[tuple[NamedCategory, list[NamedCategory]]] = field(default_factory=list_named_tree)

    @property
    def options(self) -> SafeString:
        """The options as HTML: hundreds of them, which a template would write much more slowly.

        ``data-parent`` of level 2 names the parent for the script.
        """
        known = {value for value, _name in self.firsts}
        parts = [self._option(value, name) for value, name in self.firsts]
        for root, children in self.tree:
            known.add(root.cat_id)
            parts.append(format_html('<optgroup label="{}">', root.own_name))
            parts.append(self._option(root.cat_id, root.own_title))
            for child in children:
                known.add(child.cat_id)
                parts.append(self._option(child.cat_id, child.own_title, parent=root.own_name))
            parts.append("</optgroup>")
        if self.value not in known:  # an unknown one is shown, so that it can be seen and corrected
            parts.insert(0, self._option(self.value, self.value[:MAX_SHOWN_CHARACTERS]))
        return mark_safe("".join(parts))  # noqa: S308 - each part is escaped

    def _option(self, value: str, label: str, *, parent: str = "") -> str:
        selected = " selected" if value == self.value else ""
        below = f' data-parent="{escape(parent)}"' if parent else ""
        return f'<option value="{escape(value)}"{below}{selected}>{escape(label)}</option>'


def all_together() -> str:
    """Return the name of all categories together, which no schedule collects."""
    return _("All categories together (no schedule collects them)")


def chosen(
    cat_ids: Iterable[str], known: Mapping[str, NamedCategory], *, firsts: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the ids with their names, as the picker of several categories shows them.

    ``firsts`` names the values that are no category.
    """
    names = dict(firsts) | {cat_id: one.own_title for cat_id, one in known.items()}
    return [(one, names.get(one, one[:MAX_SHOWN_CHARACTERS])) for one in dict.fromkeys(cat_ids)]
