"""Everything people read can be read in Chinese: it is marked, in the catalogue, translated and compiled.

When the catalogue is behind the sources, ``bin/messages`` brings it in line and names what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from django.apps import apps as django_apps
from django.contrib import admin
from django.db.models import Choices, Field
from django.utils.functional import Promise

from apps.core.errors import DomainError
from apps.panels.choices import ModuleId
from tests.admin_pages import model_admins
from tests.programs import ROOT
from tools.messages import catalogue, marks, sources
from tools.messages.sources import Text


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    found = sources.our_texts() + sources.foreign_texts()
    assert len(found) > 300
    return found


@pytest.fixture(scope="module")
def stored() -> Catalog:
    return catalogue.read_catalogue()


# --- The catalogue --------------------------------------------------------------------------------


def test_every_marked_text_is_translated_and_no_other(stored: Catalog, texts: list[Text]) -> None:
    problems = catalogue.problems_of(stored, texts)
    assert problems == [], "run bin/messages, then translate:\n" + "\n".join(problems)


def test_the_file_is_as_the_tool_writes_it(stored: Catalog, texts: list[Text]) -> None:
    catalogue.update(stored, texts)
    assert catalogue.PO_PATH.read_bytes() == catalogue.po_bytes(stored), "run bin/messages"


def test_the_compiled_catalogue_is_that_of_the_readable_one() -> None:
    assert catalogue.MO_PATH.read_bytes() == catalogue.mo_bytes(catalogue.read_catalogue()), (
        "run bin/messages"
    )


def test_the_glossary_fixes_the_words_of_the_product(stored: Catalog) -> None:
    fixed = catalogue.glossary(stored)
    assert fixed.items() >= {"sync task": "同步任务", "category": "类目"}.items()
    explained = " ".join(chinese for _, chinese, _ in WORDS)
    assert {name for name, chinese in fixed.items() if chinese.partition("|")[0] not in explained} == set()


GUIDE = ROOT / "docs/translating.md"
# The table of words: English, the Chinese word in use, and Chinese words that are not used.
WORDS = re.findall(r"^\| ([a-zA-Z][^|]+) \| ([^|]+) \| ([^|]*) ?\|$", GUIDE.read_text("utf-8"), re.MULTILINE)[
    1:
]
RETIRED_TERMS = {
    term: chinese for _, chinese, retired in WORDS for term in retired.strip().split("、") if term
}
_HAN, _FULL_WIDTH, _COUNTED = (
    "[\u4e00-\u9fff]",
    "[，。：；！？、（）“”]",
    "定时任务|采集任务|同步任务|类目|周期|记录",
)
# In these rules, № stands for the placeholder of a number and ◊ for one of a text.
CHINESE_FAULTS = {
    "no measure word between a number and its noun": f"№ ?(?:{_COUNTED})",
    "no space between Chinese and Latin letters or digits": f"{_HAN}[A-Za-z0-9]|[A-Za-z0-9]{_HAN}",
    "no space beside a number": f"{_HAN}№|№{_HAN}",
    "a space beside a full-width sign": f" {_FULL_WIDTH}|{_FULL_WIDTH} .",
    "a half-width sign in Chinese": f"{_HAN}[,:;!?()]|[,;!?]{_HAN}",
}


def chinese_texts(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        if not message.id:  # the header, which has the glossary
            continue
        yield from message.string if isinstance(message.string, tuple) else [message.string]


@pytest.mark.parametrize("term", RETIRED_TERMS)
def test_retired_terms_are_in_no_chinese_text(stored: Catalog, term: str) -> None:
    pages = [*ROOT.glob("*.zh-CN.md"), *(ROOT / "docs").rglob("*.zh-CN.md")]
    lines = [line for page in pages for line in page.read_text("utf-8").splitlines()]
    assert len(lines) > 500
    found = [text for text in (*chinese_texts(stored), *lines) if term in text]
    assert found == [], f"say {RETIRED_TERMS[term]}"


@pytest.mark.parametrize("fault", CHINESE_FAULTS)
def test_chinese_is_typeset_by_one_rule(stored: Catalog, fault: str) -> None:
    rule = re.compile(CHINESE_FAULTS[fault])

    def is_wrong(text: str) -> bool:
        numbered = re.sub(r"%(?:\(\w+\))?[\d.]*[dfg]", "№", text)
        return rule.search(re.sub(r"%(?:\(\w+\))?[a-z]|\{\w*\}", "◊", numbered)) is not None

    # Cron expressions in words are written like dates, without spaces: 每年1、4月2日 03:00.
    texts = chinese_texts(message for message in stored if message.context != "cron")
    assert [text for text in texts if is_wrong(text)] == []


def fault_of(original: str, translation: str, **facts: Any) -> list[str]:
    one = Catalog(header_comment="# Glossary\n#   sync task = 同步任务")
    one.add(original, translation, **facts)
    return [
        fault.partition(":")[0]
        for fault in catalogue.problems_of(one, [Text(original, None, None, "apps/x.py")])
    ]


@pytest.mark.parametrize(
    ("original", "translation", "fault"),
    [
        ("%(count)d rows", "%(count)d 行", []),
        ("%(count)d rows", "%(count)s 行", ["other placeholders in '%(count)s 行'"]),
        ("%(count)d rows", "行", ["other placeholders in '行'"]),
        ("{name} is full", "{nam} 已满", ["other placeholders in '{nam} 已满'"]),
        ("about 5%%", "约 5%%", []),
        ("Not found.", "", ["not translated"]),
        ("Not found.", "Not found.", ["left in English"]),
        ("a row\n", "一行", ["other white space at the ends of '一行'"]),
        (
            "This sync task ended.",
            "此任务已结束。",
            ["the glossary says sync task = 同步任务, not '此任务已结束。'"],
        ),
        ("API", "API", []),
    ],
)
def test_what_is_a_fault(original: str, translation: str, fault: list[str]) -> None:
    assert fault_of(original, translation) == fault


def test_a_guessed_translation_is_a_fault() -> None:
    assert fault_of("Not found.", "未找到。", flags=["fuzzy"]) == ["fuzzy"]


def test_a_new_text_and_a_dropped_one_are_faults() -> None:
    one = Catalog()
    one.add("gone", "没有了")
    found = catalogue.problems_of(one, [Text("new", None, None, "apps/x.py")])
    assert found == ["not in the catalogue: 'new' (apps/x.py)", "in no source: 'gone'"]


# --- The marks ------------------------------------------------------------------------------------


def error_names() -> frozenset[str]:
    def below(kind: type) -> Iterator[type]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    return frozenset(kind.__name__ for kind in below(DomainError) if kind.__module__.startswith("apps."))


# Tools of developers, which run without Django's translations.
IN_ENGLISH = ("apps/launcher/embedded/", "apps/launcher/quickstart/", "apps/mengla/simulator/")


def test_no_text_of_the_python_sources_is_unmarked() -> None:
    names = error_names()
    assert "InvalidInput" in names
    found = [one for path in sources.our_files(".py") for one in marks.unmarked_in_python(path, names)]
    assert [one for one in found if not one.startswith(IN_ENGLISH)] == []


def test_no_text_of_the_templates_is_unmarked() -> None:
    paths = list(sources.our_files(".html", ".txt"))
    assert paths
    assert [one for path in paths for one in marks.unmarked_in_template(path)] == []


def test_no_script_holds_text() -> None:
    assert [one for path in sources.our_files(".js") for one in marks.unmarked_in_script(path)] == []


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what writes a source file and tells its unmarked texts."""
    monkeypatch.setattr(marks, "ROOT", tmp_path)

    def write(name: str, source: str) -> list[str]:
        path = tmp_path / name
        path.write_text(source)
        if name.endswith(".py"):
            found = marks.unmarked_in_python(path, frozenset({"InvalidInput"}))
        elif name.endswith(".js"):
            found = marks.unmarked_in_script(path)
        else:
            found = marks.unmarked_in_template(path)
        return [one.split(": ", 1)[1] for one in found]

    return write


IMPORT = "from django.utils.translation import gettext as _\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise InvalidInput("Too long.")', ["'Too long.'"]),
        ('raise InvalidInput(_("Too long."))', []),
        ('raise InvalidInput(f"{x} is too long.")', ["' is too long.'"]),
        ('raise InvalidInput(_("Too long."), fields={"a": ["Too long."]})', ["'Too long.'"]),
        ('models.CharField(_("name"), help_text="How it is called")', ["'How it is called'"]),
        ('parser.add_argument("--x", help="Show it.")', ["'Show it.'"]),
        ('messages.success(request, "Done.")', ["'Done.'"]),
        ('logger.error("it_failed")', []),
        ('class Command:\n    help = "Do it."', ["'Do it.'"]),
        (f'{IMPORT}_(f"{{x}} rows")', ["computed inside of the mark"]),
        (f"{IMPORT}x = f\"{{_('name')}}: 1\"", ["marked inside of an f-string"]),
        ('@admin.display(description="state")\ndef f(): pass', ["'state'"]),
    ],
)
def test_what_counts_as_unmarked_in_python(source: str, found: list[str], written: Any) -> None:
    assert written("x.py", source) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["'Hello'"]),
        ('<p>{% trans "Hello" %} {{ name }}</p>', []),
        ("<p>{% blocktranslate %}Hello {{ name }}{% endblocktranslate %}</p>", []),
        ('<a title="Go {{ x }}">→</a>', ["'Go'"]),
        ('<input type="submit" value="Save">', ["'Save'"]),
        ("<script>let word = 1;</script><style>p {color: red}</style>", []),
        ("{% comment %}Words{% endcomment %}{# words #}", []),
    ],
)
def test_what_counts_as_unmarked_in_a_template(source: str, found: list[str], written: Any) -> None:
    assert written("x.html", source) == found


def test_what_counts_as_unmarked_in_a_script(written: Any) -> None:
    assert written("x.js", 'show("No data yet"); on("Escape");\n// "No data yet"') == ["'No data yet'"]


def test_no_text_is_translated_before_the_language_is_known() -> None:
    """What a module or a class says at its top is translated once for all, unless it is lazy."""
    assert [one for path in sources.our_files(".py") for one in marks.translated_at_import(path)] == []


# --- The labels -----------------------------------------------------------------------------------


def our_choices() -> Iterator[type[Choices]]:
    def below(kind: type) -> Iterator[type]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    # The labels of the modules are names that are stored, and that operators change.
    return (one for one in below(Choices) if one.__module__.startswith("apps.") and one is not ModuleId)


def test_every_choice_has_a_label_that_is_translated_when_shown() -> None:
    found = [member for kind in our_choices() for member in kind]
    assert len(found) > 30
    assert [str(one) for one in found if not isinstance(one._label_, Promise)] == []


def shown_names(model_admin: admin.ModelAdmin[Any]) -> Iterator[str]:
    request: Any = type("Request", (), {"GET": {}, "user": None, "resolver_match": None})()
    yield from (name for name in model_admin.get_list_display(request) if isinstance(name, str))
    for _title, options in model_admin.fieldsets or [(None, {"fields": model_admin.fields or ()})]:
        for entry in options["fields"]:
            yield from [entry] if isinstance(entry, str) else entry


def test_every_shown_column_and_field_has_a_translated_name() -> None:
    unmarked = []
    ours = [one for one in model_admins() if type(one).__module__.startswith("apps.")]
    assert len(ours) > 5
    for model_admin in ours:
        fields = {one.name: one for one in model_admin.opts.get_fields() if isinstance(one, Field)}
        for name in dict.fromkeys(shown_names(model_admin)):
            source = (
                fields.get(name)
                or getattr(model_admin, name, None)
                or model_admin.form.declared_fields.get(name)
                or getattr(model_admin.model, name)
            )
            names = ("verbose_name", "short_description", "label")
            label = next(filter(None, (getattr(source, one, None) for one in names)), None)
            is_key = isinstance(source, Field) and source.primary_key
            if not isinstance(label, Promise) and not is_key and model_admin.opts.app_label in our_labels():
                unmarked.append(f"{type(model_admin).__name__}.{name}")
    assert unmarked == []


def our_labels() -> frozenset[str]:
    return frozenset(one.label for one in django_apps.get_app_configs() if one.name.startswith("apps."))


def test_every_model_and_app_has_a_translated_name() -> None:
    for config in django_apps.get_app_configs():
        if not config.name.startswith("apps."):
            continue
        assert isinstance(config.verbose_name, Promise) or not list(config.get_models()), config.name
        for model in config.get_models():
            assert isinstance(model._meta.verbose_name, Promise), model
            assert isinstance(model._meta.verbose_name_plural, Promise), model
