"""The lists of the admin: fast, and in each byte what the theme would make of them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest
from django.test import Client
from django.utils import translation
from unfold.admin import ModelAdmin
from unfold.templatetags import unfold_list
from unfold.utils import display_for_label

from apps.core.admin_base.display import Coloured
from apps.core.admin_base.model_admin import CollectorModelAdmin
from apps.core.admin_base.theme_lists import checkbox_of, labels_once
from apps.mengla.models import Collection, Record
from tests.benchmarks import scale

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LISTS = ("/admin/mengla/collection/", "/admin/mengla/record/")
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"')


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    scale.store(Record, islice(scale.records(), 60))
    scale.store(Collection, islice(scale.collections(), 60))


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_what_the_theme_makes_of_it(
    site: Client, monkeypatch: pytest.MonkeyPatch, path: str, language: str
) -> None:
    def page() -> str:
        return CSRF.sub("", site.get(path, headers={"Accept-Language": language}).content.decode())

    ours = page()
    monkeypatch.setattr(CollectorModelAdmin, "action_checkbox", ModelAdmin.action_checkbox)
    monkeypatch.setattr(unfold_list, "display_for_label", display_for_label)
    assert page() == ours


@pytest.mark.parametrize("path", LISTS)
def test_no_template_is_rendered_for_each_row_but_its_actions(site: Client, path: str) -> None:
    site.get(path)
    rendered = Counter(one.name for one in site.get(path).templates)
    assert {name for name, count in rendered.items() if count >= 50} == {"unfold/helpers/actions_row.html"}


def test_the_key_of_a_row_is_escaped() -> None:
    assert 'value="&quot;&gt;&lt;b&gt;"' in checkbox_of('"><b>')


def test_a_checkbox_has_the_language_of_the_page() -> None:
    found = set()
    for language in ("en", "zh-hans"):
        with translation.override(language):
            found.add(checkbox_of("1"))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("value", "colours"),
    [
        (Coloured(("new", "<New>")), {"new": "info"}),
        (Coloured(("old", "Old")), {"new": "info"}),
        ("new", {"new": "info"}),
        ("new", True),
        (Coloured(("new", "")), {"new": "info"}),
    ],
    ids=str,
)
def test_a_label_is_that_of_the_theme(value: object, colours: object) -> None:
    label_of = labels_once(display_for_label)
    for _ in range(2):
        assert label_of(value, "-", colours) == display_for_label(value, "-", colours)
