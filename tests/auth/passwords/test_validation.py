"""What usernames, passwords and labels may look like."""

from __future__ import annotations

import pytest

from apps.auth.passwords import validation
from apps.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("ab", "ab"),
        ("  padded  ", "padded"),
        ("x" * 50, "x" * 50),
        ("采集 程序", "采集 程序"),
        ("a" + "👍", "a👍"),
    ],
)
def test_labels_are_trimmed_and_kept(text: str, label: str) -> None:
    assert validation.clean_label(text) == label


@pytest.mark.parametrize(
    "text", ["", " ", "a", " a ", "x" * 51, "a\nb", "a\0b", "a\x1b[31m", "a\u202eb", "a\ud800b", "a\u2028b"]
)
def test_bad_labels_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validation.clean_label(text)
    assert caught.value.fields is not None
    assert list(caught.value.fields) == ["label"]
    if text.strip():
        assert text.strip() not in str(caught.value.fields) + caught.value.message or len(text.strip()) == 1


@pytest.mark.parametrize("text", ["", "   ", "u" * 151, "u" * 1_000_000, "a\0", "a\ud800", "a\nb"])
def test_impossible_usernames_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validation.clean_username(text)
    assert caught.value.fields is not None
    assert list(caught.value.fields) == ["username"]


def test_usernames_are_normalised_as_django_does() -> None:
    assert validation.clean_username(" ａｎａ ") == "ana"


@pytest.mark.parametrize("text", ["", "p" * 1025, "p" * 1_000_000, "secret\0word", "secret\udfffword"])
def test_impossible_passwords_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validation.check_password_form(text)
    reported = f"{caught.value.message} {caught.value.detail} {caught.value.fields}"
    assert "secret" not in reported
    assert "ppp" not in reported


@pytest.mark.parametrize("text", ["p", " spaces kept ", "p" * 1024, "密码", "\n"])
def test_possible_passwords_pass(text: str) -> None:
    validation.check_password_form(text)


@pytest.mark.parametrize("hours", [0, -1, 8761, 10**30, True])
def test_lifetimes_out_of_bounds_are_refused(hours: int) -> None:
    with pytest.raises(InvalidInput):
        validation.check_expires_hours(hours)


def test_text_for_the_log_cannot_forge_a_line() -> None:
    assert (
        validation.printable("a\nlogin outcome=accepted\x1b[2J" + "x" * 500)
        == ("a\ufffdlogin outcome=accepted\ufffd[2J" + "x" * 500)[:150]
    )
