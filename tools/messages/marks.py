"""Finds text for people that is not marked for translation.

In Python: the texts of errors, descriptions, labels and messages. In templates: text and titles outside of
the translation tags. In JavaScript: any text, because the page passes translated texts to its scripts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from django.template.base import Lexer, TokenType

from tools.messages.sources import ROOT, marks_of

# Arguments that are text for people in every call.
_TEXT_ARGUMENTS = frozenset(
    {
        "verbose_name",
        "verbose_name_plural",
        "help_text",
        "short_description",
        "search_help_text",
        "empty_value",
    }
)
_TEXT_ATTRIBUTES = _TEXT_ARGUMENTS | {"help", "site_title", "site_header", "index_title"}
# Calls, with the positions and the names of the arguments that are text for people.
_TEXT_OF_CALLS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "ArgumentTypeError": ((0,), ()),
    "CheckFailed": ((0, 1), ("detail", "advice")),
    "CommandError": ((0,), ()),
    "ValidationError": ((0,), ("detail", "message")),
    "action": ((), ("description",)),
    "add_argument": ((), ("help",)),
    "add_parser": ((), ("help", "description")),
    "display": ((), ("description", "empty_value")),
    "message_user": ((1,), ("message",)),
}
_MESSAGES = frozenset({"debug", "info", "success", "warning", "error"})  # of django.contrib.messages
_WORD = re.compile(r"[^\W\d_]{2,}")
_TEXT_OF_TAGS = frozenset({"title", "aria-label", "aria-description", "placeholder", "alt", "data-confirm"})
# Names and units that need no translation.
_NO_WORDS = re.compile(
    r"\b(?:API|CSV|XLSX|JSON|MongoDB|Redis|MengLa Collector|Ozon|GMV|UTC|ID)\b|%\(\w+\)[a-z]"
)
# A JavaScript literal that looks like text: several words, the first with a capital letter.
_JS_WORDS = re.compile(r"""(["'`])([A-Z][a-z]+(?: [A-Za-z]+)+[.!?]?)\1""")


class Finder(ast.NodeVisitor):
    """Collects the unmarked texts of a module."""

    def __init__(self, path: Path, tree: ast.Module, error_names: frozenset[str]) -> None:
        self.place = path.relative_to(ROOT).as_posix()
        self.errors = error_names
        self.marks = marks_of(tree)
        self.found: list[str] = []

    def visit_Call(self, node: ast.Call) -> None:
        """Check the arguments that are shown to people."""
        name = _name_of(node.func)
        positions, keywords = _TEXT_OF_CALLS.get(name, ((), ()))
        if name in self.errors:
            positions, keywords = (0,), ("message", "fields")
        if name in _MESSAGES and _name_of(getattr(node.func, "value", None)) == "messages":
            positions = (1,)
        for position in positions:
            if position < len(node.args):
                self._check(node.args[position])
        shown = _TEXT_ARGUMENTS - ({"help_text"} if self._is_for_openapi(node) else set())
        for keyword in node.keywords:
            if keyword.arg in keywords or keyword.arg in shown:
                self._check(keyword.value)
        if name in self.marks:
            self._check_mark(node)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Check the values of names that hold text by convention."""
        is_for_openapi = "serializers" in self.place
        if not is_for_openapi and any(_name_of(target) in _TEXT_ATTRIBUTES for target in node.targets):
            self._check(node.value)
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Report a mark inside of an f-string, in which Babel finds texts only since Python 3.12."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and _name_of(inner.func) in self.marks:
                self.found.append(f"{self.place}:{inner.lineno}: marked inside of an f-string")
        self.generic_visit(node)

    def _is_for_openapi(self, node: ast.Call) -> bool:
        """Whether it describes a field of the OpenAPI document, which is always in English."""
        return _name_of(getattr(node.func, "value", None)) not in ("models", "forms")

    def _check(self, node: ast.expr) -> None:
        for text in _bare_texts(node):
            if _WORD.search(_NO_WORDS.sub("", text.value)):
                self.found.append(f"{self.place}:{text.lineno}: {text.value!r}")

    def _check_mark(self, node: ast.Call) -> None:
        """Report a mark with a computed text, which no catalogue can contain."""
        for argument in node.args[:1]:
            if isinstance(argument, ast.JoinedStr | ast.BinOp):
                self.found.append(f"{self.place}:{node.lineno}: computed inside of the mark")


def _bare_texts(node: ast.expr) -> Iterator[ast.Constant]:
    """Yield the literals of an expression that are outside of every mark."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node
    elif isinstance(node, ast.Call):
        if _name_of(node.func) == "format":
            yield from _bare_texts(node.func.value)  # type: ignore[attr-defined]
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _bare_texts(value)
    elif isinstance(node, ast.BinOp):
        yield from _bare_texts(node.left)
        if isinstance(node.op, ast.Add):
            yield from _bare_texts(node.right)
    elif isinstance(node, ast.IfExp):
        yield from _bare_texts(node.body)
        yield from _bare_texts(node.orelse)
    elif isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.BoolOp):
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield from _bare_texts(part)


def _name_of(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def unmarked_in_python(path: Path, error_names: frozenset[str]) -> list[str]:
    """Return the unmarked texts of a module as ``place: text``."""
    tree = ast.parse(path.read_text("utf-8"))
    finder = Finder(path, tree, error_names)
    finder.visit(tree)
    return finder.found


class _Page(HTMLParser):
    """Collects the texts of a page and of its attributes, with their lines."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        given = dict(attrs)
        is_button = tag == "input" and given.get("type") in ("submit", "button", "reset")
        for name, value in attrs:
            if name in _TEXT_OF_TAGS or (is_button and name == "value"):
                self._note(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._note(data)

    def _note(self, text: str) -> None:
        if _WORD.search(_NO_WORDS.sub("", text)):
            self.found.append((self.getpos()[0], " ".join(text.split())))


def unmarked_in_template(path: Path) -> list[str]:
    """Return the texts of a template outside of its translation tags as ``place: text``."""
    page = _Page()
    page.feed("".join(_text_of_tokens(path.read_text("utf-8"))))
    page.close()
    place = path.relative_to(ROOT).as_posix()
    return [f"{place}:{line}: {text!r}" for line, text in page.found]


def _text_of_tokens(source: str) -> Iterator[str]:
    """Yield the unmarked text of a template; tags and marked texts become their line breaks."""
    until = ""
    for token in Lexer(source).tokenize():
        word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if token.token_type is TokenType.BLOCK and not until and word in _ENDS:
            until = _ENDS[word]
        elif token.token_type is TokenType.BLOCK and word == until:
            until = ""
        if token.token_type is TokenType.TEXT and not until:
            yield token.contents
        else:
            yield "\n" * token.contents.count("\n")


_ENDS = {
    "blocktrans": "endblocktrans",
    "blocktranslate": "endblocktranslate",
    "comment": "endcomment",
}


def unmarked_in_script(path: Path) -> list[str]:
    """Return the literals of a script that look like text as ``place: text``."""
    place = path.relative_to(ROOT).as_posix()
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    return [
        f"{place}:{number}: {found[2]!r}"
        for number, line in lines
        if not line.lstrip().startswith(("//", "*", "/*"))
        for found in _JS_WORDS.finditer(line)
    ]


def translated_at_import(path: Path) -> list[str]:
    """Return the places where a module translates during its import, when no language is known."""
    tree = ast.parse(path.read_text("utf-8"))
    is_lazy = {name: own.endswith(("_lazy", "_noop")) for name, own in marks_of(tree).items()}
    place = path.relative_to(ROOT).as_posix()
    return [
        f"{place}:{node.lineno}"
        for node in _run_at_import(tree)
        if isinstance(node, ast.Call) and is_lazy.get(_name_of(node.func)) is False
    ]


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            # The body runs later; decorators and defaults run at import.
            for part in [*child.decorator_list, *child.args.defaults, *child.args.kw_defaults]:
                if part is not None:
                    yield from [part, *_run_at_import(part)]
        elif not isinstance(child, ast.Lambda):
            yield from _run_at_import(child)
