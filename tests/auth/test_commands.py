"""The command that makes the first admin."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.auth.conftest import PASSWORD

pytestmark = [pytest.mark.mongo, pytest.mark.django_db]


def run(*args: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("ensure_admin", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_creates_the_admin_once(settings: Any) -> None:
    settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "chief", "a password of the settings"
    first, _ = run("--json")
    second, _ = run("--json")
    assert json.loads(first) == {"username": "chief", "created": True}
    assert json.loads(second) == {"username": "chief", "created": False}
    assert User.objects.get(username="chief").is_superuser


def test_it_speaks_to_people_without_naming_the_password(settings: Any) -> None:
    settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "chief", "a password of the settings"
    reported = run() + run()
    assert "chief" in reported[0]
    assert "already exists" in reported[2]
    assert "a password" not in "".join(reported)


def test_it_warns_when_the_name_belongs_to_a_plain_user(user: User, settings: Any) -> None:
    settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "ana", "another password"
    out, err = run("--json")
    assert json.loads(out) == {"username": "ana", "created": False}
    assert "is not an active admin" in err
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [("admin", None, "ADMIN_PASSWORD is not set"), ("a\nb", "a password of the settings", "not allowed")],
)
def test_unusable_settings_fail_with_a_reason(
    settings: Any, capsys: pytest.CaptureFixture[str], username: str, password: str | None, reason: str
) -> None:
    settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = username, password
    with pytest.raises(SystemExit) as caught:
        call_command("ensure_admin")
    assert caught.value.code == 1
    reported = capsys.readouterr()
    assert reason in reported.err
    assert "Traceback" not in reported.err
    assert not reported.out
    assert not User.objects.exists()
