"""Reading the environment: every problem at once, never a value, and the order of the sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import env
from config.env import ConfigurationError
from config.variables import DEVELOPMENT_KEY, variables

REQUIRED = {
    "MONGO_URI": "mongodb://127.0.0.1:27017/?replicaSet=rs0",
    "REDIS_URI": "redis://127.0.0.1:6379/0",
}
PRODUCTION = {
    "ENV": "production",
    "SECRET_KEY": "a-production-key-of-some-fifty-characters-in-length",
    "WEBHOOK_SECRET": "a-webhook-secret",
    "ALLOWED_HOSTS": "mengla.example.com",
}
SECRETS = sorted(name for name, (variable, _) in variables().items() if variable.is_secret)
# No parser takes it, so that each variable in turn refuses it.
MARKER = "Tr0ub4dor\x07&3"
BAD_VALUES = {
    "ENV": "prod",
    "DEBUG": "maybe",
    "SECRET_KEY": "short",
    "ALLOWED_HOSTS": "https://a.example.com",
    "MONGO_URI": "127.0.0.1",
    "REDIS_URI": "127.0.0.1",
    "COLLECT_SERVICE_URL": "collector",
    "CORS_ALLOWED_ORIGINS": "*",
    "COLLECT_INTERVAL_SECONDS": "abc",
    "MAX_INFLIGHT_REQUESTS": "0",
    "CRON_TICK": "hourly",
    "LOG_LEVEL": "loud",
}


def load(**given: str) -> env.Environment:
    """Load from these variables alone, with no .env file."""
    return env.load({"ENV_FILE": "", **REQUIRED, **given})


def problems_of(given: dict[str, str]) -> dict[str, str]:
    """Return the problems by the variable (or line) they name."""
    with pytest.raises(ConfigurationError) as caught:
        env.load(given)
    lines = str(caught.value).splitlines()
    problems = [line.removeprefix("  - ") for line in lines if line.startswith("  - ")]
    number = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    assert lines[0] == f"The environment has {number}:"
    assert lines[-1] == "Every variable is described in docs/configuration.md."
    return {problem.split()[0]: problem for problem in problems}


# --- What is there without any variable -----------------------------------------------------------


def test_the_two_addresses_are_all_a_development_installation_needs() -> None:
    environment = load()
    for name, (_, default) in variables().items():
        assert getattr(environment, name) == REQUIRED.get(name, default)
    assert not environment.is_production


def test_nothing_at_all_names_both_addresses_in_one_message() -> None:
    problems = problems_of({"ENV_FILE": ""})
    assert problems == {
        name: f"{name} is missing; for example {name}={variables()[name][0].example}" for name in REQUIRED
    }


@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_address_is_a_missing_one(name: str) -> None:
    assert set(problems_of({"ENV_FILE": "", **REQUIRED, name: " \t"})) == {name}


@pytest.mark.parametrize("name", sorted(set(variables()) - set(REQUIRED)))
def test_an_empty_optional_variable_has_its_default(name: str) -> None:
    assert getattr(load(**{name: "  "}), name) == variables()[name][1]


def test_every_default_could_have_been_written_in_the_environment() -> None:
    for name, (variable, default) in variables().items():
        if default not in (None, "", ()):
            written = ",".join(default) if isinstance(default, tuple) else str(default)
            assert variable.parse(written) == default, name


# --- Problems -------------------------------------------------------------------------------------


def test_all_problems_are_in_one_message() -> None:
    problems = problems_of({"ENV_FILE": "", **BAD_VALUES})
    assert set(problems) == set(BAD_VALUES)
    for name, problem in problems.items():
        assert problem.endswith(f"; for example {name}={variables()[name][0].example}")
        assert " must " in problem or " may " in problem


@pytest.mark.parametrize("name", sorted(variables()))
def test_no_value_is_ever_repeated(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(**{name: MARKER})
    message = str(caught.value)
    assert f"  - {name} must be one line of UTF-8 text without control characters" in message
    assert "Tr0ub4dor" not in message


@pytest.mark.parametrize("name", sorted(variables()))
def test_a_secret_in_the_wrong_variable_is_not_repeated(name: str) -> None:
    secret = "mongodb://root:Tr0ub4dor-and-three@10.0.0.1:notaport"
    try:
        load(**{name: secret})
    except ConfigurationError as error:
        assert name in str(error)
        assert "Tr0ub4dor" not in str(error)
        assert "10.0.0.1" not in str(error)
    else:
        assert variables()[name][0].parse(secret) == secret, "only free text takes it"


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "a\x7fb", "a\u2028b", "a\udcffb"])
def test_what_is_no_line_of_text_is_refused(value: str) -> None:
    assert set(problems_of({"ENV_FILE": "", **REQUIRED, "COLLECT_TASK_NAME": value})) == {"COLLECT_TASK_NAME"}


# --- Production -----------------------------------------------------------------------------------


def test_production_with_its_secrets_and_hosts_is_accepted() -> None:
    environment = load(**PRODUCTION)
    assert environment.is_production
    assert environment.ALLOWED_HOSTS == ("mengla.example.com",)


def test_production_asks_for_everything_it_lacks_at_once() -> None:
    assert set(problems_of({"ENV_FILE": "", "ENV": "production", "DEBUG": "true"})) == {
        "MONGO_URI",
        "REDIS_URI",
        "SECRET_KEY",
        "WEBHOOK_SECRET",
        "ALLOWED_HOSTS",
        "DEBUG",
    }


@pytest.mark.parametrize("name", ["SECRET_KEY", "WEBHOOK_SECRET", "ALLOWED_HOSTS"])
def test_each_of_them_is_required_in_production_only(name: str) -> None:
    given = {**REQUIRED, **PRODUCTION, "ENV_FILE": ""}
    del given[name]
    assert problems_of(given)[name].startswith(f"{name} is missing; ")
    for other in ("development", "test"):
        assert other == env.load(given | {"ENV": other}).ENV


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET", "WEBHOOK_SECRET"])
def test_the_published_key_is_no_secret_in_production(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{DEVELOPMENT_KEY}\n")
    for given in ({name: DEVELOPMENT_KEY}, {name: "", f"{name}_FILE": str(file)}):
        problems = problems_of({"ENV_FILE": "", **REQUIRED, **PRODUCTION, **given})
        assert set(problems) == {name}
        assert "must not be the published development key" in problems[name]
        assert DEVELOPMENT_KEY not in problems[name]
    assert getattr(load(**{name: DEVELOPMENT_KEY}), name) == DEVELOPMENT_KEY


@pytest.mark.parametrize("name", ["development", "test"])
def test_debug_is_for_other_installations(name: str) -> None:
    assert load(ENV=name, DEBUG="on").DEBUG is True


# --- Sources --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["$HOME/secret-key", "$$", "${SECRET_KEY}", "a$b", "$(id) `id` ~ %d {x} \\n"]
)
def test_a_dollar_has_no_meaning(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/reader")
    password = value.ljust(8, "x")
    assert password == load(ADMIN_PASSWORD=password).ADMIN_PASSWORD
    file = tmp_path / "variables"
    file.write_text(f"ADMIN_PASSWORD={password}\n")
    assert password == load(ENV_FILE=str(file)).ADMIN_PASSWORD


def test_white_space_around_a_value_is_dropped() -> None:
    assert load(MONGO_DB="  figures \n").MONGO_DB == "figures"


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    special = {"COLLECT_SERVICE_API_KEY": "key", "METRICS_TOKEN": "token", "ALERT_URLS": "slack://a/b/c"}
    special["SENTRY_DSN"] = "https://0a1b@sentry.example.com/1"
    special["ALERT_WEBHOOK_URL"] = "https://alerts.example.com/hook/0a1b"
    value = {**REQUIRED, **special}.get(name, f"{name} from a file and long enough for all")
    current = name.removesuffix("_PREVIOUS")
    beside = {} if current == name else {current: "a current key of many characters"}
    file = tmp_path / "secret"
    file.write_text(f"\ufeff{value}\n")
    given = {key: text for key, text in REQUIRED.items() if key != name}
    read = getattr(env.load({"ENV_FILE": "", **given, **beside, f"{name}_FILE": str(file)}), name)
    assert read == ((value,) if beside else value)


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "name"
    file.write_text("other_database")
    assert load(MONGO_DB_FILE=str(file)).MONGO_DB == "industry_monitor"


def test_the_variable_wins_over_its_file(tmp_path: Path) -> None:
    assert (
        load(WEBHOOK_SECRET="directly", WEBHOOK_SECRET_FILE=str(tmp_path / "none")).WEBHOOK_SECRET
        == "directly"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read as text"),
        (b"\xff\xfe\x00secret", "cannot be read as text"),
        (b"x" * (64 * 1024 + 1), "is too large"),
        (b"line one\nline two", "must be one line"),
        (b"short", "must have 8 to 4096 characters"),
    ],
)
def test_a_bad_secret_file_is_a_problem_like_any_other(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "webhook-secret-file"
    if content is not None:
        file.write_bytes(content)
    problems = problems_of({"ENV_FILE": "", "WEBHOOK_SECRET_FILE": str(file), "DEBUG": "maybe"})
    assert set(problems) == {"WEBHOOK_SECRET", "DEBUG", "MONGO_URI", "REDIS_URI"}
    assert problem in problems["WEBHOOK_SECRET"]
    assert "line two" not in problems["WEBHOOK_SECRET"]


@pytest.mark.parametrize("name", ["directory", "missing/secret"])
def test_a_secret_file_that_is_none_is_a_problem(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    given = {"ENV_FILE": "", **REQUIRED, "SECRET_KEY_FILE": str(tmp_path / name)}
    assert "SECRET_KEY_FILE that cannot be read" in problems_of(given)["SECRET_KEY"]


def test_an_empty_secret_file_counts_as_unset(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    assert variables()["SECRET_KEY"][1] == load(SECRET_KEY_FILE=str(file)).SECRET_KEY


# --- The .env file --------------------------------------------------------------------------------


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "vars.env"


def load_with(path: Path, **given: str) -> env.Environment:
    return env.load({"ENV_FILE": str(path), **REQUIRED, **given})


def test_the_file_gives_what_the_process_does_not_say(env_file: Path) -> None:
    env_file.write_text("MONGO_DB=from_file\nJWT_EXPIRE_HOURS=48\n")
    environment = load_with(env_file, MONGO_DB="from_process")
    assert (environment.MONGO_DB, environment.JWT_EXPIRE_HOURS) == ("from_process", 48)


def test_empty_in_the_process_means_unset_whatever_the_file_says(env_file: Path) -> None:
    env_file.write_text("COLLECT_SERVICE_URL=http://collector\n")
    assert load_with(env_file, COLLECT_SERVICE_URL="").COLLECT_SERVICE_URL is None


def test_a_secret_file_named_by_the_process_wins_over_the_env_file(env_file: Path, tmp_path: Path) -> None:
    env_file.write_text("WEBHOOK_SECRET=development-secret\n")
    secret = tmp_path / "secret"
    secret.write_text("the real secret")
    assert load_with(env_file, WEBHOOK_SECRET_FILE=str(secret)).WEBHOOK_SECRET == "the real secret"


def test_the_file_may_name_secret_files_too(env_file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the real secret")
    env_file.write_text(f"WEBHOOK_SECRET_FILE={secret}\n")
    assert load_with(env_file).WEBHOOK_SECRET == "the real secret"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("COLLECT_TASK_NAME=plain", "plain"),
        ("COLLECT_TASK_NAME=two words # and a comment", "two words"),
        ("COLLECT_TASK_NAME=two#words", "two#words"),
        ("COLLECT_TASK_NAME=#1", "#1"),
        ("COLLECT_TASK_NAME= # only a comment", "萌啦数据采集"),
        ("COLLECT_TASK_NAME='single' # and a comment", "single"),
        ('COLLECT_TASK_NAME="double"# and a comment', "double"),
        ("COLLECT_TASK_NAME = spaces  ", "spaces"),
        ("\tCOLLECT_TASK_NAME\t=\ttabs", "tabs"),
        ("export\tCOLLECT_TASK_NAME = exported", "exported"),
        ("'COLLECT_TASK_NAME'=quoted name", "quoted name"),
        ("COLLECT_TASK_NAME='single # quoted'", "single # quoted"),
        ('COLLECT_TASK_NAME="double \\"quoted\\""', 'double "quoted"'),
        ("COLLECT_TASK_NAME='single \\'quoted\\''", "single 'quoted'"),
        ("COLLECT_TASK_NAME=it's one", "it's one"),
        ('COLLECT_TASK_NAME=say "it"', 'say "it"'),
        ("COLLECT_TASK_NAME=CORP\\admin", "CORP\\admin"),
        ("COLLECT_TASK_NAME='CORP\\admin'", "CORP\\admin"),
        ("COLLECT_TASK_NAME='CORP\\new'", "CORP\\new"),
        ('COLLECT_TASK_NAME="CORP\\\\admin"', "CORP\\admin"),
        ('COLLECT_TASK_NAME="CORP\\user"', "CORP\\user"),
        ('COLLECT_TASK_NAME="ends with \\\\"', "ends with \\"),
        ("COLLECT_TASK_NAME='ends with \\\\'", "ends with \\"),
        ("COLLECT_TASK_NAME=ends with \\", "ends with \\"),
        ('COLLECT_TASK_NAME="a=b=c"', "a=b=c"),
        ("COLLECT_TASK_NAME=采集 数据", "采集 数据"),
        ("COLLECT_TASK_NAME=''", "萌啦数据采集"),
        ('COLLECT_TASK_NAME="  "', "萌啦数据采集"),
        ("COLLECT_TASK_NAME=classic\rMONGO_DB=mac", "classic"),
        ('OTHER="two\nlines"\nCOLLECT_TASK_NAME=after them', "after them"),
        ('COLLECT_TASK_NAME="with space after" ', "with space after"),
        ("  export COLLECT_TASK_NAME=exported", "exported"),
        ("COLLECT_TASK_NAME=a=b", "a=b"),
        ("COLLECT_TASK_NAME=first\nCOLLECT_TASK_NAME=last", "last"),
        ("COLLECT_TASK_NAME=", "萌啦数据采集"),
        ("#COLLECT_TASK_NAME=commented", "萌啦数据采集"),
        ("\ufeffCOLLECT_TASK_NAME=采集\r\n\r\n   \n# end", "采集"),
    ],
)
def test_lines_of_the_file(line: str, value: str, env_file: Path) -> None:
    env_file.write_text(f"{line}\n")
    assert value == load_with(env_file).COLLECT_TASK_NAME


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_that_says_nothing_is_reported_by_its_number_only(env_file: Path, end: str) -> None:
    lines = ["MONGO_DB=figures", "WEBHOOK_SECRET Tr0ub4dor", "Tr0ub4dor", "ADMIN_PASSWORD: Tr0ub4dor", ""]
    env_file.write_bytes(end.join(lines).encode())
    with pytest.raises(ConfigurationError) as caught:
        load_with(env_file, DEBUG="maybe")
    message = str(caught.value)
    assert [f"vars.env line {number} is not of the form NAME=value" in message for number in range(1, 6)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert "DEBUG must be true or false" in message
    assert "Tr0ub4dor" not in message


def test_a_bad_line_is_not_logged_either(env_file: Path, written_log: Any, capfd: Any) -> None:
    env_file.write_text("WEBHOOK_SECRET: Tr0ub4dor\n  ADMIN_PASSWORD='Tr0ub4dor\n")
    with pytest.raises(ConfigurationError):
        load_with(env_file)
    assert "Tr0ub4dor" not in str(written_log()) + "".join(capfd.readouterr())


@pytest.mark.parametrize("kind", ["missing", "directory", "not text"])
def test_a_file_that_cannot_be_read_is_a_problem(kind: str, env_file: Path) -> None:
    if kind == "directory":
        env_file.mkdir()
    elif kind == "not text":
        env_file.write_bytes(b"MONGO_DB=\xff\xfe")
    problems = problems_of({"ENV_FILE": str(env_file)})
    assert set(problems) == {"vars.env", "MONGO_URI", "REDIS_URI"}


def test_the_usual_file_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "BASE_DIR", tmp_path)
    assert env.load(REQUIRED).MONGO_DB == "industry_monitor"
    (tmp_path / ".env").write_text("MONGO_DB=figures")
    assert env.load(REQUIRED).MONGO_DB == "figures"
    assert env.load({**REQUIRED, "ENV_FILE": ""}).MONGO_DB == "industry_monitor"


def test_reading_changes_nothing_in_the_process(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("MONGO_DB=figures\nANOTHER_PROGRAM=its value\n")
    given = {"ENV_FILE": str(env_file), **REQUIRED}
    env.load(given)
    assert given == {"ENV_FILE": str(env_file), **REQUIRED}
    monkeypatch.setenv("ENV_FILE", str(env_file))
    monkeypatch.delenv("MONGO_DB", raising=False)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    import os

    before = dict(os.environ)
    assert env.load().MONGO_DB == "figures"
    assert dict(os.environ) == before


@pytest.mark.parametrize("escaped", list("abfnrtv"))
def test_an_escape_that_is_no_text_is_refused_with_the_way_out(escaped: str, env_file: Path) -> None:
    env_file.write_text(f'ADMIN_USERNAME="CORP\\{escaped}dmin"\n')
    problem = problems_of({"ENV_FILE": str(env_file), **REQUIRED})["ADMIN_USERNAME"]
    assert "write the value in single quotes, or two backslashes" in problem
    assert "CORP" not in problem
    assert (
        "quotes" not in problems_of({"ENV_FILE": "", **REQUIRED, "ADMIN_USERNAME": "a\x07"})["ADMIN_USERNAME"]
    )
    for value in ("CORP\x07", "'CORP\x07'"):
        env_file.write_text(f"ADMIN_USERNAME={value}\n")
        assert "quotes" not in problems_of({"ENV_FILE": str(env_file), **REQUIRED})["ADMIN_USERNAME"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('ADMIN_PASSWORD="Tr0ub4dor', "vars.env line 1 is not of the form NAME=value: a quote"),
        ("\n\n  ADMIN_PASSWORD='Tr0ub4dor' and more\n", "vars.env line 3 is not of the form"),
        (
            'ADMIN_PASSWORD="Tr0ub4dor\nMONGO_DB="x"\n',
            "vars.env line 1 is not of the form NAME=value: a quote",
        ),
        ('ADMIN_PASSWORD="Tr0ub4dor\nand more"\n', "ADMIN_PASSWORD must be one line of UTF-8 text"),
        ("ADMIN_PASSWORD=Tr0ub4dor\x00\n", "ADMIN_PASSWORD must be one line of UTF-8 text"),
        ("ADMIN_PASSWORD=Tr0ub4dor\u2028x\n", "ADMIN_PASSWORD must be one line of UTF-8 text"),
        ("export\n", "vars.env line 1 is not of the form NAME=value"),
        ("=Tr0ub4dor\n", "vars.env line 1 is not of the form NAME=value"),
        ("Tr0ub4dor\n" + "x" * 300_000, "vars.env (the environment file) cannot be read as text"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_without_its_text(text: str, problem: str, env_file: Path) -> None:
    env_file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_with(env_file)
    assert problem in str(caught.value)
    assert "Tr0ub4dor" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "set ADMIN_PASSWORD=Tr0ub4dor",
        "MY VAR=1",
        "=Tr0ub4dor",
        "= 'Tr0ub4dor'",
        'set ADMIN_PASSWORD="Tr0ub4dor"',
    ],
)
def test_a_quote_is_only_blamed_where_it_is_the_cause(line: str, env_file: Path) -> None:
    env_file.write_text(f"{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_with(env_file)
    assert "  - vars.env line 1 is not of the form NAME=value\n" in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_the_text_of_the_environment_has_no_secret(name: str) -> None:
    values = {one: variables()[one][0].example for one in REQUIRED}
    found = env.Environment(**{**values, name: "Tr0ub4dor"})
    assert getattr(found, name) == "Tr0ub4dor"
    assert "Tr0ub4dor" not in f"{found!r} {found}"
    assert "MONGO_DB=" in repr(found)


def test_development_has_a_short_name() -> None:
    assert load(ENV="dev").ENV == "development"
    assert (
        "must be one of: development, test, production"
        in problems_of({"ENV_FILE": "", **REQUIRED, "ENV": "prod"})["ENV"]
    )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("JWT_SECRET", "x" * 31, "can make valid tokens for any user. Set a new one, or remove"),
        ("ADMIN_PASSWORD", "x" * 7, "a shorter one can be guessed. Set a longer one"),
        ("JWT_EXPIRE_HOURS", "8761", "valid for more than a year. Set at most 8760"),
        ("JWT_EXPIRE_HOURS", "87600", "create an API token"),
        ("CORS_ALLOWED_ORIGINS", "*", "List the addresses of your own pages"),
        ("CORS_ALLOWED_ORIGINS", "http://localhost:5173,*", "any page that a user opens"),
    ],
)
def test_what_is_stricter_here_says_why_and_what_to_do(name: str, value: str, reason: str) -> None:
    problem = problems_of({"ENV_FILE": "", **REQUIRED, name: value})[name]
    assert reason in problem
    assert value not in problem or value in ("*", "8761")


# --- The collecting window ------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [("00:30", "05:00"), ("22:00", "06:00"), ("00:00", "23:59")])
def test_a_collecting_window_has_two_ends(start: str, end: str) -> None:
    found = load(COLLECT_WINDOW_START=start, COLLECT_WINDOW_END=end)
    ends = found.COLLECT_WINDOW_START, found.COLLECT_WINDOW_END
    assert ends == (start, end)
    assert load().COLLECT_WINDOW_START is load().COLLECT_WINDOW_END is None


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        ({"START": "00:30"}, "COLLECT_WINDOW_END", "is missing: it is required with COLLECT_WINDOW_START"),
        ({"END": "05:00"}, "COLLECT_WINDOW_START", "is missing: it is required with COLLECT_WINDOW_END"),
        ({"START": "00:30", "END": "00:30"}, "COLLECT_WINDOW_END", "must not equal COLLECT_WINDOW_START"),
        ({"START": "0:30", "END": "05:00"}, "COLLECT_WINDOW_START", "must be a time from 00:00 to 23:59"),
        ({"START": "00:30", "END": "24:00"}, "COLLECT_WINDOW_END", "must be a time from 00:00 to 23:59"),
    ],
)
def test_half_a_window_or_an_empty_one_is_refused(given: dict[str, str], name: str, text: str) -> None:
    window = {f"COLLECT_WINDOW_{end}": value for end, value in given.items()}
    problems = problems_of({"ENV_FILE": "", **REQUIRED, **window})
    assert list(problems) == [name]
    assert text in problems[name]


# --- Keys that are accepted beside the current ones -----------------------------------------------

KEYS = {"SECRET_KEY": "k" * 32, "JWT_SECRET": "j" * 32, "WEBHOOK_SECRET": "w" * 8}


@pytest.mark.parametrize("name", KEYS)
class TestPreviousKeys:
    """A key is changed in steps; what would leave it unchanged or unguarded is refused."""

    def test_several_are_accepted_beside_the_current_one(self, name: str) -> None:
        given = {**KEYS, f"{name}_PREVIOUS": f"{'a' * 40}, {'b' * 40}"}
        assert getattr(load(**given), f"{name}_PREVIOUS") == ("a" * 40, "b" * 40)

    def test_they_need_a_current_one(self, name: str) -> None:
        given = {"ENV_FILE": "", **REQUIRED, f"{name}_PREVIOUS": "a" * 40}
        assert "is set without" in problems_of(given)[f"{name}_PREVIOUS"]

    def test_the_current_one_is_not_among_them(self, name: str) -> None:
        given = {"ENV_FILE": "", **REQUIRED, **KEYS, f"{name}_PREVIOUS": f"{'a' * 40},{KEYS[name]}"}
        assert "must not contain the value of" in problems_of(given)[f"{name}_PREVIOUS"]

    def test_a_weak_one_is_refused(self, name: str) -> None:
        given = {"ENV_FILE": "", **REQUIRED, **KEYS, f"{name}_PREVIOUS": f"{'a' * 40},short"}
        assert " must be 1 to 5 values of " in problems_of(given)[f"{name}_PREVIOUS"]

    def test_the_published_key_is_none_in_production(self, name: str) -> None:
        given = {"ENV_FILE": "", **REQUIRED, **PRODUCTION, **KEYS, f"{name}_PREVIOUS": DEVELOPMENT_KEY}
        assert "must not contain the published development key" in problems_of(given)[f"{name}_PREVIOUS"]


# --- The OpenID provider --------------------------------------------------------------------------

PROVIDER = {
    "OIDC_ISSUER_URL": "https://login.example.com/",
    "OIDC_CLIENT_ID": "mengla",
    "OIDC_GROUP_ROLES": "readers=viewer, a%2Cb=superuser",
}


class TestProvider:
    def test_a_whole_one_is_accepted(self) -> None:
        environment = load(**PROVIDER, ADMIN_PASSWORD_LOGIN="off")
        assert environment.OIDC_ISSUER_URL == "https://login.example.com"
        assert environment.OIDC_GROUP_ROLES == ("readers=viewer", "a%2Cb=superuser")

    @pytest.mark.parametrize("name", ["OIDC_CLIENT_ID", "OIDC_GROUP_ROLES"])
    def test_a_client_and_groups_are_required(self, name: str) -> None:
        given = {"ENV_FILE": "", **REQUIRED, **PROVIDER, name: ""}
        assert "it is required with OIDC_ISSUER_URL" in problems_of(given)[name]

    def test_the_address_is_that_of_the_issuer(self) -> None:
        address = f"{PROVIDER['OIDC_ISSUER_URL']}.well-known/openid-configuration"
        given = {"ENV_FILE": "", **REQUIRED, **PROVIDER, "OIDC_ISSUER_URL": address}
        assert "must be the issuer, without /.well-known" in problems_of(given)["OIDC_ISSUER_URL"]

    def test_passwords_stay_without_a_provider(self) -> None:
        given = {"ENV_FILE": "", **REQUIRED, "ADMIN_PASSWORD_LOGIN": "off"}
        assert "nobody could log in" in problems_of(given)["ADMIN_PASSWORD_LOGIN"]

    def test_production_needs_https(self) -> None:
        given = {"ENV_FILE": "", **REQUIRED, **PRODUCTION, **PROVIDER}
        problem = problems_of(given | {"OIDC_ISSUER_URL": "http://login.example.com"})
        assert "must be https in production" in problem["OIDC_ISSUER_URL"]
        load(**PRODUCTION, **PROVIDER | {"OIDC_ISSUER_URL": "http://127.0.0.1:8080"})
