"""Reads of the category tree, for this app and for others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.categories.errors import CategoryNotFound
from apps.categories.models import NAME_SEPARATOR, Category
from apps.categories.models import own_part as own_part  # noqa: PLC0414 - offered to other apps
from apps.core.errors import InvalidInput
from apps.core.printable import list_text, quoted

T = TypeVar("T")

_CAT_ID = re.compile(r"[1-9][0-9]{0,15}")
_MAX_NAMED = 20
# Between the names of a category, and before its id, as pages show them.
_BETWEEN_NAMES = re.compile(r"[·()]|\s(?=[0-9]{6,}$)")
_MAX_SHOWN_CHARACTERS = 20
_MAX_LEVELS = 10
_MAX_CANDIDATES = 10
_PATH_SIGN = " › "
_MAX_NAMED_IN_TEXT = 10


def is_cat_id(text: str) -> bool:
    """Tell whether a text has the form of a category id, without reading the database."""
    return _CAT_ID.fullmatch(text) is not None


def category_exists(cat_id: str) -> bool:
    """Tell whether a category has this id, by one indexed lookup; ``cat_id`` may be any text."""
    return is_cat_id(cat_id) and Category.objects.filter(cat_id=cat_id).exists()


def check_categories(cat_ids: Sequence[str], *, field: str) -> None:
    """Check by one lookup that all of these categories exist; "", which means all categories, is allowed.

    :raises InvalidInput: when some do not exist; ``field`` is the input that the error names.
    """
    named = list(dict.fromkeys(cat_id for cat_id in cat_ids if cat_id))
    found = Category.objects.filter(cat_id__in=[cat_id for cat_id in named if is_cat_id(cat_id)])
    known = set(found.values_list("cat_id", flat=True))
    unknown = [cat_id for cat_id in named if cat_id not in known]
    if unknown:
        names = list_text(map(_shown, unknown[:_MAX_NAMED]))
        message = _("There is no such category: %(names)s.") % {"names": names}
        raise InvalidInput(message, fields={field: [message]})


def _shown(cat_id: str) -> str:
    """Return what a caller sent as an id for use in a message: quoted if its signs could mislead."""
    if cat_id.isalnum():
        return cat_id[:_MAX_SHOWN_CHARACTERS]
    return quoted(cat_id, limit=_MAX_SHOWN_CHARACTERS)


def list_level1_ids() -> list[str]:
    """Return the ids of the level-1 categories in the order of the file."""
    return list(_children_of("").values_list("cat_id", flat=True))


def list_all_ids() -> list[str]:
    """Return the ids of every category, level 1 first, each level in the order of the file."""
    return list(Category.objects.order_by("level", "position").values_list("cat_id", flat=True))


def list_children(cat_id: str) -> list[dict[str, Any]]:
    """Return the children of a category as imported, in file order; an empty list for an unknown id."""
    if not is_cat_id(cat_id):
        return []
    return list(_children_of(cat_id).values_list("data", flat=True))


def get_category(cat_id: str) -> dict[str, Any]:
    """Return one node as imported, with its ``children``.

    :raises CategoryNotFound: when no category has this id.
    """
    data = None
    if is_cat_id(cat_id):
        data = Category.objects.filter(cat_id=cat_id).values_list("data", flat=True).first()
    if data is None:
        raise CategoryNotFound
    return {**data, "children": list_children(cat_id)}


def build_tree() -> list[dict[str, Any]]:
    """Return the whole tree as imported: level 1 in file order, each with its ``children`` last."""
    rows = Category.objects.order_by("position").values_list("parent_id", "cat_id", "data")
    return [{**data, "children": children} for data, children in _as_tree(rows)]


@dataclass(frozen=True, slots=True)
class NamedCategory:
    """A category as it is shown to people."""

    cat_id: str
    name_cn: str
    name_ru: str

    @property
    def name(self) -> str:
        """The Chinese name, else the Russian name, else the id."""
        return self.name_cn or self.name_ru or self.cat_id

    @property
    def own_name(self) -> str:
        """The name without its parents': see :func:`own_part`."""
        return own_part(self.name)

    @property
    def own_name_ru(self) -> str:
        """The Russian name without its parents', empty if there is none."""
        return own_part(self.name_ru)

    @property
    def has_name(self) -> bool:
        """Whether the source gives it a name; some categories of level 2 have none in either language."""
        return bool(self.name_cn or self.name_ru)

    @property
    def own_title(self) -> str:
        """The Chinese and the Russian name without their parents', with a dot between; the id without any."""
        names = filter(None, (own_part(self.name_cn), own_part(self.name_ru)))
        return " · ".join(names) or self.cat_id


class CategoryNames:
    """Categories as texts for people, all looked up at once: each level of the tree takes one query.

    A category that has no name, or is no longer in the tree, is its id. "" means all categories together.
    """

    def __init__(self, cat_ids: Iterable[str]) -> None:
        self._named: dict[str, NamedCategory] = {}
        self._parent_ids: dict[str, str] = {}
        wanted = {cat_id for cat_id in cat_ids if is_cat_id(cat_id)}
        for _level in range(_MAX_LEVELS):
            if not wanted:
                break
            rows = Category.objects.filter(cat_id__in=sorted(wanted))
            for cat_id, parent_id, *names in rows.values_list("cat_id", "parent_id", "name_cn", "name_ru"):
                self._named[cat_id] = NamedCategory(cat_id, *names)
                self._parent_ids[cat_id] = parent_id
            wanted = {one for one in self._parent_ids.values() if one and one not in self._named} - wanted

    def own(self, cat_id: str) -> str:
        """Return the name without its parents', empty for a category without a name."""
        named = self._named.get(cat_id)
        return named.own_name if named and named.has_name else ""

    def text(self, cat_id: str) -> str:
        """Return the name without its parents', with the id: ``Pots (17028922)``."""
        own = self.own(cat_id)
        return with_id(own, cat_id) if own else cat_id or _("All categories")

    def path(self, cat_id: str) -> str:
        """Return the name below those of its parents: ``Kitchen › Pots``."""
        return _PATH_SIGN.join([*self._parents(cat_id), self.own(cat_id) or cat_id or _("All categories")])

    def path_text(self, cat_id: str) -> str:
        """Return the name below those of its parents, with the id: ``Kitchen › Pots (17028922)``."""
        return _PATH_SIGN.join([*self._parents(cat_id), self.text(cat_id)])

    def _parents(self, cat_id: str) -> list[str]:
        above: list[str] = []
        parent_id = self._parent_ids.get(cat_id, "")
        while parent_id and len(above) < _MAX_LEVELS:
            above.insert(0, self.own(parent_id) or parent_id)
            parent_id = self._parent_ids.get(parent_id, "")
        return above


def with_id(name: str, cat_id: str) -> str:
    """Return a name with the id of its category, in the brackets of the current language."""
    return _("{before} ({text})").format(before=name, text=cat_id)


def categories_text(cat_ids: Sequence[str]) -> str:
    """Return some categories as one text for people: the first ones by their names, and how many more."""
    first = list(cat_ids[:_MAX_NAMED_IN_TEXT])
    names = CategoryNames(first)
    texts = [names.path_text(cat_id) for cat_id in first]
    if more := len(cat_ids) - len(first):
        texts.append(ngettext("%(count)d more", "%(count)d more", more) % {"count": more})
    return list_text(texts)


def own_names(cat_ids: Iterable[str]) -> dict[str, str]:
    """Return the short names of the categories that exist, by id."""
    rows = Category.objects.filter(pk__in=list(cat_ids)).values_list("cat_id", "name_cn", "name_ru")
    return {row[0]: NamedCategory(*row).own_name for row in rows}


def resolve_categories(texts: Sequence[str], *, field: str) -> list[str]:
    """Return the ids of categories that are given by id or by name, in their order.

    A name is Chinese or Russian, in any case and any form of Unicode: the whole name, or its part behind the
    parent's. Its beginning is enough if no other category begins like this. Digits are always an id.

    :raises InvalidInput: for an ambiguous name, with the candidates; for unknown names and ids.
    """
    named = [text for text in texts if not (text.isascii() and text.isdecimal())]
    rows = Category.objects.values_list("cat_id", "name_cn", "name_ru")  # level 1 first
    categories = [NamedCategory(*row) for row in rows] if named else []
    found: dict[str, str] = {}
    for text in named:
        candidates = _matching(text, categories)
        if len(candidates) > 1:
            listed = [with_id(_name_like(text, one), one.cat_id) for one in candidates[:_MAX_CANDIDATES]]
            message = _("%(name)s is ambiguous. It matches %(count)d categories: %(candidates)s.") % {
                "name": text[:_MAX_SHOWN_CHARACTERS],
                "count": len(candidates),
                "candidates": list_text(listed + ["..."] * (len(candidates) > _MAX_CANDIDATES)),
            }
            raise InvalidInput(message, fields={field: [message]})
        if candidates:
            found[text] = candidates[0].cat_id
    cat_ids = [found.get(text, text) for text in texts]
    check_categories(cat_ids, field=field)
    return cat_ids


def _matching(text: str, categories: Sequence[NamedCategory]) -> list[NamedCategory]:
    """Return the categories with this name, else those whose name begins like this."""
    wanted = _comparable(text)
    if not wanted:
        return []
    whole = [(one, [_comparable(name) for name in (one.name_cn, one.name_ru)]) for one in categories]
    own = [(one, [own_part(name) for name in names]) for one, names in whole]
    for rows in (whole, own):
        if same := [one for one, names in rows if wanted in names]:
            return same
    # With the name of a parent the whole names count; otherwise the name of a parent would be ambiguous.
    rows = whole if NAME_SEPARATOR in wanted else own
    return [one for one, names in rows if any(name.startswith(wanted) for name in names)]


def _name_like(text: str, category: NamedCategory) -> str:
    """Return the name of a category in which the text is found; the reader may know no other."""
    names = (category.name, category.name_ru)
    return next((name for name in names if _comparable(text) in _comparable(name)), category.name)


def _comparable(name: str) -> str:
    """Return the name in the one form in which names are compared."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return NAME_SEPARATOR.join(" ".join(part.split()) for part in folded.split(NAME_SEPARATOR))


def list_named_children(parent_id: str) -> list[NamedCategory]:
    """Return the children of a category ("" for level 1) with their names, in the order of the file."""
    rows = _children_of(parent_id).values_list("cat_id", "name_cn", "name_ru")
    return [NamedCategory(*row) for row in rows]


def list_named_tree() -> list[tuple[NamedCategory, list[NamedCategory]]]:
    """Return each level-1 category with its children, in the order of the file, with their names alone."""
    rows = Category.objects.order_by("position").values_list("parent_id", "cat_id", "name_cn", "name_ru")
    return _as_tree((parent_id, names[0], NamedCategory(*names)) for parent_id, *names in rows)


def find_named(cat_id: str) -> NamedCategory | None:
    """Return one category with its names, None for an unknown id."""
    if not is_cat_id(cat_id):
        return None
    row = Category.objects.filter(cat_id=cat_id).values_list("cat_id", "name_cn", "name_ru").first()
    return None if row is None else NamedCategory(*row)


def named_categories(cat_ids: Iterable[str]) -> dict[str, NamedCategory]:
    """Return the categories that exist among these ids, by id, with one lookup."""
    known = {cat_id for cat_id in cat_ids if is_cat_id(cat_id)}
    rows = Category.objects.filter(cat_id__in=sorted(known)) if known else Category.objects.none()
    return {row[0]: NamedCategory(*row) for row in rows.values_list("cat_id", "name_cn", "name_ru")}


def find_by_names(names: Iterable[str]) -> dict[str, NamedCategory]:
    """Return the categories with exactly these Chinese or Russian names, by name, with one lookup.

    A name that several categories have is left out.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    rows = Category.objects.filter(Q(name_cn__in=wanted) | Q(name_ru__in=wanted))
    found: dict[str, set[NamedCategory]] = {}
    for category in (NamedCategory(*row) for row in rows.values_list("cat_id", "name_cn", "name_ru")):
        for name in (category.name_cn, category.name_ru):
            found.setdefault(name, set()).add(category)
    return {name: next(iter(found[name])) for name in wanted if len(found.get(name, ())) == 1}


def find_cat_ids(text: str) -> list[str]:
    """Return the id of the category that the text names, or of those whose own names contain it.

    With the name of a parent the whole names count. A text that was copied from a page, such as both names
    or a name with its id, is found too. The case of letters, the form of Unicode and repeated spaces do not
    matter.
    """
    wanted = _comparable(text)
    if is_cat_id(wanted):
        return [wanted]
    parts = [part for part in map(str.strip, _BETWEEN_NAMES.split(wanted)) if part]
    is_whole = NAME_SEPARATOR in wanted
    found = []
    for one in (one for root, children in list_named_tree() for one in (root, *children)):
        names = [_comparable(name if is_whole else own_part(name)) for name in (one.name_cn, one.name_ru)]
        if parts and all(part == one.cat_id or any(part in name for name in names) for part in parts):
            found.append(one.cat_id)
    return found


def parents_of(cat_id: str) -> list[NamedCategory]:
    """Return the categories above a category, level 1 first; an empty list for an unknown id."""
    parents: list[NamedCategory] = []
    while is_cat_id(cat_id) and len(parents) < _MAX_LEVELS:
        row = Category.objects.filter(cat_id=cat_id).values_list("parent_id", flat=True).first()
        parent = find_named(row or "")
        if parent is None:
            break
        parents.insert(0, parent)
        cat_id = parent.cat_id
    return parents


def ids_with_children(cat_ids: Iterable[str]) -> set[str]:
    """Return the ids of those categories that have children."""
    return set(Category.objects.filter(parent_id__in=list(cat_ids)).values_list("parent_id", flat=True))


def _as_tree(rows: Iterable[tuple[str, str, T]]) -> list[tuple[T, list[T]]]:
    """Return what the rows (parent's id, own id, value) hold of each level-1 category and of its children."""
    by_parent: dict[str, list[tuple[str, T]]] = {}
    for parent_id, cat_id, value in rows:
        by_parent.setdefault(parent_id, []).append((cat_id, value))
    return [
        (root, [child for _, child in by_parent.get(cat_id, [])]) for cat_id, root in by_parent.get("", [])
    ]


def _children_of(parent_id: str) -> QuerySet[Category]:
    return Category.objects.filter(parent_id=parent_id).order_by("position")
