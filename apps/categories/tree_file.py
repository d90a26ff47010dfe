"""Reading and checking a category file, before anything is written.

The file is an export of the source: a list of level-1 nodes, each with its level-2 nodes in ``children``.
This module writes nothing: it returns rows, or raises an error with the problems and their places.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from django.utils.translation import gettext as _

from apps.categories.errors import InvalidCategoryFile
from apps.core.printable import first_unprintable

MAX_FILE_BYTES: Final = 50 * 1024 * 1024
MAX_NODE_BYTES: Final = 64 * 1024
MAX_NAME_LENGTH: Final = 500
MAX_PROBLEMS: Final = 20
MAX_SHOWN_LENGTH: Final = 60
MAX_CAT_ID: Final = 2**53 - 1  # the largest integer every JSON client reads exactly
MAX_STORED_INT: Final = 2**63 - 1  # the largest integer BSON holds

_NAMES: Final = ("catNameCn", "catName")


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryRow:
    """One checked node, ready to be stored; ``data`` is the node as imported, without ``children``."""

    cat_id: str
    parent_id: str
    level: int
    position: int
    name_cn: str
    name_ru: str
    data: dict[str, Any]
    data_hash: str


def read_tree(path: Path) -> Any:
    """Return the parsed JSON of a category file.

    :raises InvalidCategoryFile: when the file cannot be read, is too large or is not JSON.
    """
    try:
        with path.open("rb") as stream:
            content = read_stream(stream, name=str(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidCategoryFile(
            [_("%(path)s: cannot be read (%(reason)s)") % {"path": path, "reason": reason}]
        ) from error
    return parse_json(content)


def read_stream(stream: BinaryIO, *, name: str) -> bytes:
    """Return the content of a stream, reading at most one byte more than the size limit.

    :raises InvalidCategoryFile: when it is larger than the limit; ``name`` is its name for people.
    """
    content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidCategoryFile(
            [
                _("%(name)s: is larger than %(size)d MB")
                % {"name": name, "size": MAX_FILE_BYTES // 1024 // 1024}
            ]
        )
    return content


def parse_json(content: bytes) -> Any:
    """Decode a category file (UTF-8, with or without a byte order mark) into plain values.

    :raises InvalidCategoryFile: when it is not JSON.
    """
    try:
        # The standard decoder keeps what orjson would change or hide: huge integers, infinities and
        # repeated names. They are reported with their place.
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique_object)
    except UnicodeDecodeError as error:
        raise InvalidCategoryFile(
            [_("byte %(position)d: is not UTF-8") % {"position": error.start}]
        ) from error
    except json.JSONDecodeError as error:
        problem = _("line %(line)d, column %(column)d: is not JSON (%(reason)s)") % {
            "line": error.lineno,
            "column": error.colno,
            "reason": error.msg,
        }
        raise InvalidCategoryFile([problem]) from error
    except RecursionError as error:
        raise InvalidCategoryFile([_("the file is nested too deeply")]) from error
    except ValueError as error:
        raise InvalidCategoryFile(
            [_("the file is not JSON (%(reason)s)") % {"reason": _shorten(str(error))}]
        ) from error


def build_rows(nodes: Any) -> list[CategoryRow]:
    """Check a whole tree and return its rows, each parent before its children, in file order.

    :raises InvalidCategoryFile: when the tree is not valid, with up to 20 problems.
    """
    return _TreeCheck().run(nodes)


class _TreeCheck:
    """One walk through a tree: collects the first problems, counts them all, notes the place of each id."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._problem_count = 0
        self._places: dict[int, str] = {}

    def run(self, nodes: Any) -> list[CategoryRow]:
        """Return the rows of a valid tree, or raise an error with its problems."""
        rows = list(self._walk(nodes))
        if self._problem_count:
            raise InvalidCategoryFile(self._problems, problem_count=self._problem_count)
        return rows

    def _add(self, path: str, problem: str) -> None:
        self._problem_count += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"{path}: {problem}")

    def _walk(self, nodes: Any) -> Iterator[CategoryRow]:
        if not isinstance(nodes, list):
            self._add(_("the file"), _("must be a list of categories, not %(kind)s") % {"kind": _kind(nodes)})
            return
        if not nodes:
            self._add(_("the file"), _("has no categories"))
        for position, node in enumerate(nodes):
            path = f"[{position}]"
            yield from self._check_node(node, path=path, position=position, parent=None)
            children = node.get("children") if isinstance(node, dict) else None
            if isinstance(children, list):
                for index, child in enumerate(children):
                    yield from self._check_node(
                        child, path=f"{path}.children[{index}]", position=index, parent=node
                    )
            elif children is not None:
                self._add(f"{path}.children", _("must be a list, not %(kind)s") % {"kind": _kind(children)})

    def _check_node(
        self, node: Any, *, path: str, position: int, parent: dict[str, Any] | None
    ) -> Iterator[CategoryRow]:
        """Yield the row of a valid node; yield nothing for one with problems."""
        if not isinstance(node, dict):
            self._add(path, _("must be an object, not %(kind)s") % {"kind": _kind(node)})
            return
        count_before = self._problem_count
        data = {name: value for name, value in node.items() if name != "children"}
        self._check_id(node, path=path)
        if parent is not None:
            self._check_place(node, path=path, parent=parent)
        for name, value in data.items():
            if name != "catId":
                self._check_value(name, value, path=path)
        for name in _NAMES:
            # The source leaves both names of some level-2 nodes empty; level 1 always has them.
            self._check_name(node, name, path=path, may_be_empty=parent is not None)
        if self._problem_count > count_before:
            return
        row = _build_row(data, position=position, parent=parent)
        if row is None:
            self._add(path, _("is larger than %(size)d KB") % {"size": MAX_NODE_BYTES // 1024})
        else:
            yield row

    def _check_id(self, node: dict[str, Any], *, path: str) -> None:
        cat_id = node.get("catId")
        if "catId" not in node:
            self._add(f"{path}.catId", _("is missing"))
        elif type(cat_id) is not int:  # a JSON true is an int to isinstance
            self._add(f"{path}.catId", _("must be a whole number, not %(kind)s") % {"kind": _kind(cat_id)})
        elif not 1 <= cat_id <= MAX_CAT_ID:
            self._add(f"{path}.catId", _("must be from 1 to %(limit)d") % {"limit": MAX_CAT_ID})
        elif cat_id in self._places:
            self._add(
                f"{path}.catId",
                _("%(cat_id)d is already the id of %(place)s")
                % {"cat_id": cat_id, "place": self._places[cat_id]},
            )
        else:
            self._places[cat_id] = path

    def _check_place(self, node: dict[str, Any], *, path: str, parent: dict[str, Any]) -> None:
        claimed, parent_id = node.get("catId1"), parent.get("catId")
        # A bad parent id is reported at the parent, and not again at every child.
        if claimed is not None and type(parent_id) is int and (type(claimed), claimed) != (int, parent_id):
            self._add(
                f"{path}.catId1",
                _("must be the parent's id (%(parent_id)s), not %(claimed)s")
                % {"parent_id": _show(parent_id), "claimed": _show(claimed)},
            )
        if node.get("children"):
            self._add(f"{path}.children", _("is too deep: the tree has two levels"))

    def _check_name(self, node: dict[str, Any], name: str, *, path: str, may_be_empty: bool) -> None:
        value = node.get(name)
        if name not in node:
            self._add(f"{path}.{name}", _("is missing"))
        elif isinstance(value, (dict, list)):
            return  # _check_value reports it
        elif not isinstance(value, str):
            self._add(f"{path}.{name}", _("must be a string, not %(kind)s") % {"kind": _kind(value)})
        elif not may_be_empty and not value.strip():
            self._add(f"{path}.{name}", _("must not be empty"))
        elif len(value) > MAX_NAME_LENGTH:
            self._add(f"{path}.{name}", _("is longer than %(limit)d characters") % {"limit": MAX_NAME_LENGTH})
        else:
            self._check_characters(value, path=f"{path}.{name}")

    def _check_value(self, name: str, value: Any, *, path: str) -> None:
        path, is_name = f"{path}.{_shorten(name)}", name in _NAMES
        if not name or name.startswith("$") or "." in name or first_unprintable(name) is not None:
            self._add(path, _("is not a usable field name"))
        elif value is not None and not isinstance(value, (str, int, float)):
            self._add(
                path,
                _("must be a string, number, true, false or null, not %(kind)s") % {"kind": _kind(value)},
            )
        elif isinstance(value, float) and not math.isfinite(value):
            self._add(path, _("must be a finite number"))
        elif isinstance(value, int) and not -MAX_STORED_INT - 1 <= value <= MAX_STORED_INT:
            self._add(path, _("must fit into 64 bits"))
        elif isinstance(value, str) and not is_name:
            self._check_characters(value, path=path, may_have_lines=True)

    def _check_characters(self, text: str, *, path: str, may_have_lines: bool = False) -> None:
        found = first_unprintable(text, may_have_lines=may_have_lines)
        if found is not None:
            values = {"character": f"U+{ord(found):04X}", "position": text.index(found) + 1}
            self._add(path, _("has the character %(character)s at position %(position)d") % values)


def _build_row(data: dict[str, Any], *, position: int, parent: dict[str, Any] | None) -> CategoryRow | None:
    """Return the row of a checked node, None when the node is too large."""
    parent_id = "" if parent is None else str(parent.get("catId"))
    level = 1 if parent is None else 2
    encoded = orjson.dumps([parent_id, level, position, data])
    if len(encoded) > MAX_NODE_BYTES:
        return None
    return CategoryRow(
        cat_id=str(data["catId"]),
        parent_id=parent_id,
        level=level,
        position=position,
        name_cn=data["catNameCn"],
        name_ru=data["catName"],
        data=data,
        data_hash=hashlib.sha256(encoded).hexdigest(),
    )


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(_("the field %(name)s appears twice in one object") % {"name": _show(name)})
        result[name] = value
    return result


def _kind(value: Any) -> str:
    names = {
        dict: _("an object"),
        list: _("a list"),
        str: _("a string"),
        bool: _("true or false"),
        float: _("a fraction"),
    }
    if value is None:
        return "null"
    return names.get(type(value), _("a number") if isinstance(value, int) else type(value).__name__)


def _show(value: Any) -> str:
    return _shorten(repr(value)) if not isinstance(value, (dict, list)) else _kind(value)


def _shorten(text: str) -> str:
    printable = text.encode("unicode_escape" if not text.isprintable() else "utf-8").decode()
    return printable if len(printable) <= MAX_SHOWN_LENGTH else f"{printable[:MAX_SHOWN_LENGTH]}..."
