"""Updates, compiles and checks the catalogue of translations."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tools.messages.sources import LANGUAGE, ROOT, Text

PO_PATH = ROOT / "locale" / LANGUAGE / "LC_MESSAGES" / "django.po"
MO_PATH = PO_PATH.with_suffix(".mo")
_LINE_WIDTH = 110
# `%(name)s`, `%(seconds).0f`, `%d`, `%%`, and `{}` or `{name}`.
_PLACEHOLDER = re.compile(
    r"%(?:\((?P<name>\w+)\))?[-#0 +]*[\d.]*(?P<kind>[diouxXeEfFgGcrs%])|\{(?P<field>\w*)\}"
)
# Names that are the same in both languages.
SAME_IN_BOTH = frozenset({"API", "ID", "IPv4", "IPv6", "MengLa", "MengLa Collector", "id"})
_WORD = re.compile(r"[A-Za-z]{2,}")
_TERM = re.compile(r"^ *(?P<english>[a-z][a-z -]*?) = (?P<chinese>\S+)", re.MULTILINE)


def read_catalogue(path: Path = PO_PATH) -> Catalog:
    """Read a catalogue.

    :raises babel.messages.pofile.PoFileError: when its syntax is invalid.
    """
    with path.open("rb") as stream:
        return read_po(stream, locale=LANGUAGE, abort_invalid=True)


def update(catalogue: Catalog, texts: Iterable[Text]) -> None:
    """Add new texts to the catalogue and remove those that are gone; no translation is guessed."""
    template = Catalog()
    for text in texts:
        message_id = (text.singular, text.plural) if text.plural else text.singular
        template.add(
            message_id, locations=[(text.place, None)], auto_comments=text.comments, context=text.context
        )
    # The dates stay, so that the file does not change without a change of its texts.
    template.creation_date = catalogue.creation_date
    catalogue.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalogue.obsolete.clear()


def po_bytes(catalogue: Catalog) -> bytes:
    """Return the .po file of the catalogue: in the order of the sources, without line numbers."""
    stream = io.BytesIO()
    write_po(stream, catalogue, width=_LINE_WIDTH, sort_by_file=True, include_lineno=False)
    return stream.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    """Return the .mo file of the catalogue, which Django reads."""
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def glossary(catalogue: Catalog) -> dict[str, str]:
    """Return the fixed terms of the header comment, which has lines ``english = chinese``."""
    comment = re.sub(r"^# ?", "", catalogue.header_comment, flags=re.MULTILINE)
    return {found["english"]: found["chinese"] for found in _TERM.finditer(comment)}


def problems_of(catalogue: Catalog, texts: Iterable[Text]) -> list[str]:
    """Return the problems of a catalogue, one line for each."""
    wanted = {text.key: text for text in texts}
    stored = {(one.context, _singular(one)): one for one in catalogue if one.id}
    found = [f"not in the catalogue: {key[1]!r} ({wanted[key].place})" for key in wanted if key not in stored]
    found += [f"in no source: {key[1]!r}" for key in stored if key not in wanted]
    found += [f"obsolete: {key!r}" for key in catalogue.obsolete]
    terms = glossary(catalogue)
    for message in stored.values():
        found += [f"{fault}: {_singular(message)!r}" for fault in _faults(message, terms)]
    return found


def placeholders(text: str) -> Counter[str]:
    """Count the placeholders of a text by their form."""
    return Counter(
        f"{{{found['field']}}}" if found["kind"] is None else f"%({found['name']}){found['kind']}"
        for found in _PLACEHOLDER.finditer(text)
    )


def _faults(message: Message, terms: dict[str, str]) -> Iterator[str]:
    if message.fuzzy:
        yield "fuzzy"
    translations = message.string if isinstance(message.string, list | tuple) else [message.string]
    if not all(translations):
        yield "not translated"
        return
    # Chinese has no plural: its only form is compared with the English plural, which contains the number.
    model = message.id[-1] if isinstance(message.id, list | tuple) else message.id
    words = _PLACEHOLDER.sub("", model).lower()
    for translation in translations:
        if placeholders(model) != placeholders(translation):
            yield f"other placeholders in {translation!r}"
        if _edges(model) != _edges(translation):
            yield f"other white space at the ends of {translation!r}"
        if translation == model and _WORD.search(model) and model not in SAME_IN_BOTH:
            yield "left in English"
        for english, chinese in terms.items():
            if re.search(rf"\b{english}s?\b", words) and not re.search(chinese, translation):
                yield f"the glossary says {english} = {chinese}, not {translation!r}"


def _singular(message: Message) -> str:
    return str(message.id[0] if isinstance(message.id, list | tuple) else message.id)


def _edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
