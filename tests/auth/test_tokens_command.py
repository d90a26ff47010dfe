"""`manage.py tokens`: tokens are created, listed and revoked as over the API."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import pytest
from django.core.management import call_command, load_command_class
from rest_framework.test import APIClient

from apps.auth.models import ApiToken
from tests.mengla.commands.support import Ended, run

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def tokens(*arguments: str) -> Ended:
    return run("tokens", *arguments)


def create(name: str, *arguments: str) -> Any:
    return tokens("create", "--name", name, *arguments, "--yes", "--json").result


def status_with(token: str, address: str = "/api/auth/me") -> int:
    return int(APIClient().get(address, headers={"authorization": f"Bearer {token}"}).status_code)


def test_a_created_token_works_and_is_printed_once(written_log: Any) -> None:
    ended = tokens("create", "--name", " dashboard ", "--expires-hours", "2", "--yes")
    token, advice = ended.out.splitlines()
    assert (ended.code, status_with(token), status_with(token, "/api/auth/tokens")) == (0, 200, 403)
    assert "cannot be shown again" in advice
    [line] = [line for line in written_log() if line["event"] == "token_created"]
    assert (line["created_by"], line["label"], line["scope"]) == ("manage.py", "dashboard", "reader")
    assert token not in str(written_log())
    assert token not in tokens("list").out + tokens("list", "--json").out


def test_a_token_that_could_not_be_printed_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    command, err = load_command_class("apps.auth", "tokens"), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(command, "create", "--name", "lost", "--yes", stdout=Full(), stderr=err)
    [token] = ApiToken.objects.all()
    assert (ended.value.code, token.revoked_at is None) == (1, False)
    said = "The result could not be written (No space left on device)."
    assert err.getvalue() == f"{said} The new token {token.pk} was revoked.\n"


def test_a_name_that_is_refused_is_told_by_the_name_of_its_option() -> None:
    ended = tokens("create", "--name", "x", "--yes", "--json")
    assert (ended.code, set(ended.result["fields"])) == (2, {"name"})


def test_without_tokens_the_list_says_so() -> None:
    assert tokens("list") == Ended(0, "No tokens found.\n", "")


def test_the_list_is_that_of_the_api(admin: APIClient) -> None:
    for name in ("first", "second"):
        create(name, "--scope", "admin")
    admin.get("/api/auth/me")  # its use is noted, once a minute
    assert tokens("list", "--json").result == admin.get("/api/auth/tokens").json()["data"]
    titles, *rows = tokens("list").out.splitlines()
    assert titles.split()[:4] == ["id", "name", "scope", "state"]
    assert [row.split()[1:5] for row in rows[:2]] == [
        ["second", "admin", "active", "manage.py"],
        ["first", "admin", "active", "manage.py"],
    ]
    page = tokens("list", "--limit", "1", "--json").result
    rest = tokens("list", "--cursor", page["next_cursor"], "--limit", "1", "--json").result
    assert [one["label"] for one in page["tokens"] + rest["tokens"]] == ["second", "first"]


@pytest.mark.parametrize("by", ["id", "label"])
def test_a_token_is_revoked_by_id_or_name(by: str) -> None:
    created = create("Отчёты 萌啦")
    assert status_with(created["token"]) == 200
    ended = tokens("revoke", created[by], "--yes", "--json")
    assert (ended.code, ended.result) == (0, {"id": created["id"], "revoked": True})
    assert status_with(created["token"]) == 401
    # Nothing is asked for what is done already. A name is that of a token that works.
    assert tokens("revoke", created["id"]).out.endswith("had been revoked before.\n")
    assert tokens("revoke", created["label"]).code == 2


def test_a_name_that_several_tokens_have_is_ambiguous() -> None:
    ids = {create("twin")["id"] for _ in range(2)}
    ended = tokens("revoke", "twin", "--yes", "--json")
    assert (ended.code, ended.result["error"]) == (2, "VALIDATION_ERROR")
    assert all(one in ended.result["message"] for one in ids)
    assert ApiToken.objects.filter(revoked_at=None).count() == 2


def test_nothing_is_created_or_revoked_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    created = create("kept")
    for arguments in (("create", "--name", "new"), ("revoke", "kept")):
        monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
        ended = tokens(*arguments)
        assert (ended.code, ended.out) == (1, "")
    assert ApiToken.objects.count() == 1
    assert status_with(created["token"]) == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",),
        ("create", "--name", "x", "--yes"),
        ("create", "--name", "x" * 51, "--yes"),
        ("create", "--name", "a\x1bb", "--yes"),
        ("create", "--name", "ab", "--scope", "root"),
        ("create", "--name", "ab", "--expires-hours", "0"),
        ("create", "--name", "ab", "--expires-hours", "8761"),
        ("list", "--limit", "0"),
        ("list", "--cursor", "noise"),
        ("revoke", "", "--yes"),
        ("revoke", "$ne", "--yes"),
        ("revoke", "0123456789abcdef01234567", "--yes"),
        ("revoke", "день" * 1000, "--yes"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    ended = tokens(*arguments, "--json")
    assert (ended.code, ended.err) == (2, "")
    assert ended.result["error"] in {"VALIDATION_ERROR", "NOT_FOUND"}
    assert ApiToken.objects.count() == 0
