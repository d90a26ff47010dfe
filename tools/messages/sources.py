"""Finds every text of the sources that is marked for translation."""

from __future__ import annotations

import ast
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import django
import django_q
import rest_framework
import unfold
from babel.messages.extract import extract_javascript, extract_python
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
OUR_FOLDERS = ("apps", "config")
LANGUAGE = "zh_Hans"
_KEYWORDS = frozenset(
    {
        "_",
        "gettext",
        "gettext_lazy",
        "gettext_noop",
        "ngettext",
        "ngettext_lazy",
        "npgettext",
        "npgettext_lazy",
        "pgettext",
        "pgettext_lazy",
    }
)
_COMMENT_TAGS = ("Translators",)
# Files of other packages whose texts appear on our pages and have no Chinese translation: those of the theme
# without its optional parts, and the field names of django-q2.
_FOREIGN_FILES = {
    unfold: (
        "admin.py",
        "fields.py",
        "forms.py",
        "sites.py",
        "views.py",
        "widgets.py",
        "mixins",
        "templates",
    ),
    django_q: ("apps.py", "models.py"),
}
# Files whose own translations are not used: they are literal, and have other terms and typography than ours.
_REWORDED_FILES = {
    rest_framework: ("exceptions.py", "fields.py", "serializers.py"),
    django: ("core/validators.py", "forms/fields.py"),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A marked text, with its plural and context if any, its file and its comments for translators."""

    singular: str
    plural: str | None
    context: str | None
    place: str
    comments: tuple[str, ...] = field(default=())

    @property
    def key(self) -> tuple[str | None, str]:
        """The context and the singular, which identify a text in a catalogue."""
        return self.context, self.singular


def our_texts() -> list[Text]:
    """Return the marked texts of the project."""
    return [text for path in our_files(".py", ".html", ".txt", ".js") for text in texts_of(path, ROOT)]


def foreign_texts() -> list[Text]:
    """Return the marked texts of other packages that have no translation, or none that reads well.

    The theme has no catalogues. A text that Django also has is left to the translation of Django, unless its
    file is reworded: the API and the forms show these messages.
    """
    known = _translated_by_others()
    found = []
    for package, names in _FOREIGN_FILES.items():
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*")):
            if path.relative_to(folder).parts[0] in names and path.suffix in (".py", ".html"):
                found += [text for text in texts_of(path, folder.parent) if text.singular not in known]
    for package, names in _REWORDED_FILES.items():
        folder = Path(str(package.__file__)).parent
        found += [text for name in names for text in texts_of(folder / name, folder.parent)]
    return found


def our_files(*suffixes: str) -> Iterator[Path]:
    """Yield the source files of the project with these suffixes, without migrations and vendored files."""
    for folder in OUR_FOLDERS:
        for parent, names, file_names in os.walk(ROOT / folder):
            names[:] = sorted(
                name for name in names if name not in ("migrations", "mongo_migrations", "vendor")
            )
            yield from (Path(parent, name) for name in sorted(file_names) if name.endswith(suffixes))


def texts_of(path: Path, base: Path) -> Iterator[Text]:
    """Yield the marked texts of a file; places are relative to ``base``."""
    place = path.relative_to(base).as_posix()
    source = path.read_text("utf-8")
    options: Any = {"encoding": "utf-8"}
    extract = extract_python
    names = dict.fromkeys(_KEYWORDS)
    if path.suffix == ".py":
        names |= marks_of(ast.parse(source))
    if path.suffix == ".js":
        extract = extract_javascript  # type: ignore[assignment]
    elif path.suffix != ".py":
        # Indentation has no meaning in a template, but the Python extractor could fail on it.
        source = "\n".join(line.strip() for line in templatize(source, place).splitlines())
    stream = io.BytesIO(source.encode("utf-8"))
    for _line, name, messages, comments in extract(stream, list(names), _COMMENT_TAGS, options):
        yield from _as_text(names.get(name or "") or name, messages, place, comments)


def marks_of(tree: ast.Module) -> dict[str, str]:
    """Return the translation functions that a module imports: its name for each, with the name in Django."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in _KEYWORDS
    }


def _as_text(function: str | None, messages: Any, place: str, comments: Iterable[str]) -> Iterator[Text]:
    arguments = list(messages) if isinstance(messages, list | tuple) else [messages]
    context = arguments.pop(0) if function and "pgettext" in function else None
    if not arguments or not isinstance(arguments[0], str):
        return  # not a literal: the check for computed texts reports it
    plural = arguments[1] if (function and "ngettext" in function) or function == "npgettext" else None
    if arguments[0]:
        yield Text(arguments[0], plural, context, place, tuple(comments))


@cache
def _translated_by_others() -> frozenset[str]:
    site = Path(django.__file__).parent.parent
    known: set[str] = set()
    for folder in ("django/conf", "django/contrib/admin", "django/contrib/auth", "django_q"):
        path = site / folder / "locale" / LANGUAGE / "LC_MESSAGES/django.mo"
        with path.open("rb") as stream:
            translations = GNUTranslations(stream)
        known |= {key for key in translations._catalog if isinstance(key, str)}  # type: ignore[attr-defined]
    return frozenset(known)
