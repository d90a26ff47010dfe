"""`manage.py migrate` may take as long as an index needs, unlike a web request."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pymongo
import pytest
from django.core.management import call_command
from django.core.management.commands import migrate
from pymongo import _csot


@pytest.mark.django_db
@pytest.mark.mongo
def test_its_operations_have_a_day_instead_of_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    remaining: list[float | None] = []

    def note_time_left(_self: Any, *_args: Any, **_options: Any) -> None:
        remaining.append(_csot.remaining())

    monkeypatch.setattr(migrate.Command, "handle", note_time_left)
    with pymongo.timeout(None):
        call_command("migrate", skip_checks=True)
    assert remaining[0] is not None
    assert remaining[0] > 23 * 3600
    assert _csot.remaining() is None


@pytest.mark.django_db
@pytest.mark.mongo
def test_it_may_be_repeated() -> None:
    out = StringIO()
    call_command("migrate", stdout=out)
    assert "No migrations to apply" in out.getvalue()
