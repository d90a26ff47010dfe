"""docs/configuration.md and .env.example say of every variable exactly what config/variables/ says.

When one of these tests fails, copy the line it shows into the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from config import env
from config.env import ConfigurationError
from config.variables import Variable, text_of, variables
from tests.programs import ROOT

PAGE = (ROOT / "docs/configuration.md").read_text()
TEMPLATE = (ROOT / ".env.example").read_text()
VARIABLES = variables()
NAMES = sorted(VARIABLES)
ROWS = {
    cells[0].strip("`"): cells
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `")
    )
}


def default_cell(variable: Variable, default: Any) -> str:
    if variable.is_required:
        return "**required**"
    if default in (None, "", ()):
        shown = "unset"
    else:
        shown = "a fixed key" if variable.is_secret else f"`{text_of(default)}`"
    return f"**required in production**, else {shown}" if variable.is_required_in_production else shown


def template_line(name: str, variable: Variable, default: Any) -> str:
    if variable.is_required or variable.is_required_in_production:
        return f"{name}="
    if variable.is_secret:
        return f"#{name}="
    return f"#{name}={variable.example if default in (None, ()) else text_of(default)}"


# --- docs/configuration.md ------------------------------------------------------------------------


def test_the_page_lists_every_variable_once_and_no_other() -> None:
    listed = re.findall(r"^\| `(\w+)`", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_row_of_a_variable(name: str) -> None:
    variable, default = VARIABLES[name]
    _, form, *rest = ROWS[name]
    default_text = default_cell(variable, default)
    example = "" if default_text == f"`{variable.example}`" else f"`{variable.example}`"
    assert rest == [default_text, example, variable.help], (
        f"write: | `{name}` | {form} | {default_text} | {example} | {variable.help} |"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_a_variable(name: str) -> None:
    parse, form = VARIABLES[name][0].parse, ROWS[name][1]
    for good in good_values(form):
        parse(good)
    for bad in bad_values(form):
        with pytest.raises(ValueError, match="m"):
            parse(bad)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_good_value_or_says_in_words_what_to_write(name: str) -> None:
    variable, _ = VARIABLES[name]
    if variable.example.startswith("("):
        assert variable.is_secret
    else:
        variable.parse(variable.example)


def test_the_page_tells_which_variables_are_secrets() -> None:
    in_words = {name for name, (variable, _) in VARIABLES.items() if variable.example.startswith("(")}
    assert {name for name, (variable, _) in VARIABLES.items() if variable.is_secret} == {
        *in_words,
        "MONGO_URI",
        "REDIS_URI",
    }


_SAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "`true` or `false`": (["true", "false"], ["maybe"]),
    "host names": (["a.example.com,b.example.com"], ["http://a.example.com"]),
    "origins": (["https://a.example.com,http://b.example.com:8080"], ["*", "https://a.example.com/"]),
    "IP addresses and networks": (["10.0.0.0/24,::1"], ["proxy.example.com", "0.0.0.0/0"]),
    "http(s) URL": (["http://a.example.com", "https://a.example.com/base/"], ["a.example.com", "ftp://a"]),
    "MongoDB URI": (["mongodb://a.example.com", "mongodb+srv://a.example.com"], ["a.example.com"]),
    "Redis URL": (["redis://a", "rediss://a/1", "unix:///run/a"], ["a:6379", "redis://a?socket_timeout=1"]),
    "path": (
        ["admin", "/ops/admin/", "a" * 100],
        ["api/admin", "Static", "a b", "../x", "/", "a//b", "a" * 101],
    ),
    "day": (["2027-03-31"], ["20270331", "2027-02-30", "31.03.2027", "2027-03", "tomorrow"]),
    "time, 00:00 to 23:59": (
        ["00:00", "23:59"],
        ["24:00", "5:00", "05:60", "05:00:00", "0500", "", "０５:00"],
    ),
    "scopes, with `openid`": (["openid", "profile openid"], ["profile", "", 'openid "x"', "openid é"]),
    "pairs GROUP=ROLE": (
        ["staff=viewer", "cn=staff=viewer,a b=admin", "a%2Cb=viewer", f"{'g' * 200}=viewer"],
        ["staff", "=viewer", "staff=", ",", f"{'g' * 201}=viewer"],
    ),
    "service addresses": (
        ["slack://a/b/c", "json://a mailto://b?to=c,d", "json://a,form://b"],
        ["slack", "", "://a", "json://a b", ",", " ".join(f"json://{one}" for one in range(21))],
    ),
    "DSN of Sentry": (
        ["https://0a1b@sentry.example.com/42", "http://0a1b@[::1]:9000/below/1"],
        ["sentry", "", "https://sentry.example.com/1", "https://a:b@sentry.example.com/1", "https://a@b/c"],
    ),
    "cron expression": (["0 2 * * *"], ["0 2 * *", "@daily"]),
    "1 to 63 letters, digits, `_`, `-`": (["a_b-1", "a" * 63], ["", "a" * 64, "a.b"]),
    "1 to 4096 characters": (["/var/log/a b.log", "é" * 4096], ["", "a" * 4097]),
    "1 to 4096 ASCII characters, no spaces": (["a", "a" * 4096], ["", "a" * 4097, "a b", "é"]),
}


def good_values(form: str) -> list[str]:
    return _samples(form)[0]


def bad_values(form: str) -> list[str]:
    return _samples(form)[1]


def _samples(form: str) -> tuple[list[str], list[str]]:
    """Values just inside and just outside what the page promises."""
    if form in _SAMPLES:
        return _SAMPLES[form]
    if found := re.fullmatch(r"whole number, (\d+) to (\d+)", form):
        low, high = map(int, found.groups())
        return [str(low), str(high)], [str(low - 1), str(high + 1), f"{low}.5"]
    if found := re.fullmatch(r"number, ([\d.]+) to (\d+)", form):
        low_text, high_text = found.groups()
        return [low_text, high_text], [str(float(low_text) - 0.01), f"{high_text}.01", "1e2"]
    if found := re.fullmatch(r"text, (\d+) to (\d+) characters", form):
        low, high = map(int, found.groups())
        return ["x" * low, "x" * high], ["x" * (low - 1), "x" * (high + 1)]
    if found := re.fullmatch(r"1 to (\d+) values of (\d+) to (\d+) characters, separated by commas", form):
        most, low, high = map(int, found.groups())
        some = [letter * low for letter in "abcdef"]
        return (
            [some[0], ", ".join(some[:most]), "x" * high],
            ["x" * (low - 1), "x" * (high + 1), ",".join(some[: most + 1]), f"{some[0]},{some[0]}", ","],
        )
    words = re.findall(r"`(\w+)`", form.removeprefix("one of "))
    assert form.startswith("one of "), f"this form is not explained: {form}"
    return words, [*(word.swapcase() for word in words), "other"]


# --- .env.example ---------------------------------------------------------------------------------


def test_the_template_has_every_variable_once_with_its_meaning_above() -> None:
    lines = TEMPLATE.splitlines()
    assert sorted(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", TEMPLATE)) == NAMES
    for name, (variable, default) in VARIABLES.items():
        expected = template_line(name, variable, default)
        assert expected in lines, f"write: {expected}"
        meaning = lines[lines.index(expected) - 1]
        assert meaning.startswith(f"# {variable.help}"), f"write above it: # {variable.help}"
        if variable.is_required or variable.is_required_in_production:
            assert meaning == f"# {variable.help} Example: {variable.example}"


def test_the_template_as_it_is_lacks_only_the_two_addresses(tmp_path: Path) -> None:
    copy = tmp_path / "copy.env"
    copy.write_text(TEMPLATE)
    with pytest.raises(ConfigurationError, match="The environment has 2 problems") as caught:
        env.load({"ENV_FILE": str(copy)})
    assert "MONGO_URI is missing" in str(caught.value)
    assert "REDIS_URI is missing" in str(caught.value)


def test_the_template_with_everything_switched_on_is_valid(tmp_path: Path) -> None:
    copy = tmp_path / "copy.env"
    copy.write_text(re.sub(r"(?m)^#(?=[A-Z][A-Z0-9_]+=)", "", TEMPLATE))
    given = {name: VARIABLES[name][0].example for name in ("MONGO_URI", "REDIS_URI")}
    environment = env.load({"ENV_FILE": str(copy), **given})
    for name, (variable, default) in VARIABLES.items():
        if default not in (None, ()) and not variable.is_required:
            assert getattr(environment, name) == default, name


def test_the_template_holds_no_secret() -> None:
    for name, (variable, _) in VARIABLES.items():
        if variable.is_secret:
            assert re.search(rf"(?m)^#?{name}=$", TEMPLATE), name
