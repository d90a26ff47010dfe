"""The settings of the former program: each is read, or reported with the remedy and without its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import env
from config.env import ConfigurationError
from config.variables import variables
from tests.config.test_env import REQUIRED
from tests.programs import ROOT

# Each name that the former program reads, with a value from such a file.
READ = {
    "MONGO_URI": "mongodb://127.0.0.1:27017/?replicaSet=rs0",
    "MONGO_DB": "industry_monitor",
    "REDIS_URI": "redis://127.0.0.1:6379/0",
    "COLLECT_SERVICE_URL": "http://127.0.0.1:3001",
    "COLLECT_SERVICE_API_KEY": "s3cret-service-key",
    "APP_BASEURL": "http://127.0.0.1:8000",
    "MENGLA_WEBHOOK_URL": "http://127.0.0.1:8000/api/webhook/mengla-notify",
    "WEBHOOK_SECRET": "s3cret-webhook-key",
    "JWT_SECRET": "s3cret-key-of-thirty-two-characters",
    "JWT_EXPIRE_HOURS": "24",
    "ADMIN_USERNAME": "boss",
    "ADMIN_PASSWORD": "s3cret-password",
    "CORS_ALLOWED_ORIGINS": "http://localhost:5173",
    "ENV": "dev",
    "MENGLA_TIMEOUT_SECONDS": "300",
    "MAX_INFLIGHT_REQUESTS": "1",
    "COLLECT_INTERVAL_SECONDS": "2.0",
    "CB_FAILURE_THRESHOLD": "5",
    "CB_SUCCESS_THRESHOLD": "3",
    "CB_TIMEOUT": "60",
    "L1_CACHE_MAX_SIZE": "1000",
    "L1_CACHE_TTL": "300",
    "CRON_DAILY_COLLECT": "0 4 * * *",
    "CRON_MONTHLY_COLLECT": "0 5 3 * *",
    "CRON_QUARTERLY_COLLECT": "0 6 10 1,4,7,10 *",
    "CRON_YEARLY_COLLECT": "0 7 20 1 *",
    "CRON_BACKFILL_CHECK": "0 */4 * * *",
}
# Each is known here as soon as it is declared.
_WINDOW = {"COLLECT_WINDOW_START": "00:30", "COLLECT_WINDOW_END": "05:00"}
READ |= {name: value for name, value in _WINDOW.items() if name in variables()}
# The others, with what the note on each must name.
TOLD = {
    "BATCH_SIZE": "sent by itself",
    "COLLECT_CONCURRENCY": "MAX_INFLIGHT_REQUESTS",
    "COLLECT_RETRY_TIMES": "COLLECT_MAX_ATTEMPTS",
    "RETRY_MAX_ATTEMPTS": "COLLECT_MAX_ATTEMPTS",
    "RETRY_BASE_DELAY": "COLLECT_RETRY_DELAY_SECONDS",
    "RETRY_MAX_DELAY": "COLLECT_RETRY_DELAY_SECONDS",
    "RETRY_JITTER": "COLLECT_RETRY_DELAY_SECONDS",
    "CB_HALF_OPEN_CALLS": "CB_SUCCESS_THRESHOLD",
    "CB_WINDOW": "CB_TIMEOUT",
    "MAX_CONCURRENT_TASKS": "QUEUE_WORKERS",
    "TASK_TIMEOUT": "MENGLA_TIMEOUT_SECONDS",
    "ENABLE_PANEL_ADMIN": "permissions",
}
MOVING = (ROOT / "docs/moving.md").read_text()


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "former.env"


def notes_on(path: Path, **given: str) -> list[str]:
    """The notes on this file, beside the two required variables."""
    return env.load_with_notes({"ENV_FILE": str(path), **REQUIRED, **given}).notes


def test_a_whole_file_is_read_as_it_is(env_file: Path) -> None:
    lines = [f"{name} = {value}  # as before" for name, value in READ.items()]
    env_file.write_bytes("\r\n".join(["\ufeff# settings", *lines, ""]).encode())
    environment, notes = env.load_with_notes({"ENV_FILE": str(env_file)})
    assert notes == []
    for name, value in READ.items():
        assert getattr(environment, name) == variables()[name][0].parse(value), name


@pytest.mark.parametrize("name", TOLD)
def test_a_name_without_a_meaning_is_told_with_what_becomes_of_it(name: str, env_file: Path) -> None:
    env_file.write_text(f"\n{name}=s3cret\n")
    (in_file,) = notes_on(env_file)
    assert in_file.startswith(f"{name} (in former.env line 2) is not ")
    assert TOLD[name] in in_file
    env_file.write_text("")
    (in_process,) = notes_on(env_file, **{name: "s3cret"})
    assert in_process.startswith(f"{name} (in the process environment) is not ")
    env_file.write_text(f"{name}=1\n")
    assert len(notes_on(env_file, **{name: "2"})) == 1
    assert "s3cret" not in in_file + in_process


@pytest.mark.parametrize("name", [*READ, *TOLD])
def test_the_page_says_what_becomes_of_each_name(name: str) -> None:
    beginning = "RETRY_*" if name.startswith("RETRY_") else "CB_*" if name == "CB_WINDOW" else name
    assert f"`{beginning}`" in MOVING


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("MONGO_URl=s3cret", "MONGO_URI"),
        ("mongo_uri=s3cret", "MONGO_URI"),
        ("MONGO-URI=s3cret", "MONGO_URI"),
        ("ADMIN_PASWORD=s3cret", "ADMIN_PASSWORD"),
        ("WEBHOOK_SECRET_FIL=s3cret", "WEBHOOK_SECRET_FILE"),
        ("COLLECT_INTERVAL_SECOND=s3cret", "COLLECT_INTERVAL_SECONDS"),
        ("CORS_ORIGINS=s3cret", "CORS_ALLOWED_ORIGINS"),
        ("MONGO_\x07URI=s3cret", "MONGO_URI"),
    ],
)
def test_an_almost_right_name_is_told_with_the_right_one(line: str, near: str, env_file: Path) -> None:
    env_file.write_text(f"# ours\n{line}\n")
    (note,) = notes_on(env_file)
    assert note.startswith("former.env line 2: ")
    assert note.endswith(f" is unknown and not read. Is it {near}?")
    assert "s3cret" not in note
    assert note.isprintable()


def test_it_is_told_with_the_problem_that_it_makes(env_file: Path) -> None:
    env_file.write_text("MONGO_URl=mongodb://s3cret\n")
    with pytest.raises(ConfigurationError, match="MONGO_URI is missing") as caught:
        env.load({"ENV_FILE": str(env_file), "REDIS_URI": REQUIRED["REDIS_URI"]})
    assert "  Note: former.env line 1: MONGO_URl is unknown" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_other_unknown_names_are_told_in_one_line_unless_they_may_be_secrets(env_file: Path) -> None:
    lines = [
        "COMPOSE_FILE=s3cret",
        "VITE_PORT=1",
        "c2VjcmV0PT0=",
        "JBSWY3DPEHPK3PXP====",
        "S3CRET=",
        "http.x=1",
    ]
    env_file.write_text("\n".join(lines))
    assert notes_on(env_file, SOMETHING_ELSE="1") == [
        "former.env sets names that nothing here reads: "
        "COMPOSE_FILE, VITE_PORT, line 3, line 4, line 5 and line 6."
    ]


def test_variables_of_opentelemetry_have_another_place(env_file: Path) -> None:
    env_file.write_text("OTEL_TRACES_SAMPLER=always_on\nOTEL_SDK_DISABLED=s3cret\n")
    assert notes_on(env_file) == [
        "former.env sets OTEL_TRACES_SAMPLER and OTEL_SDK_DISABLED: "
        "OpenTelemetry reads its variables from the process environment only."
    ]


def test_a_name_that_is_given_twice_is_told(env_file: Path) -> None:
    env_file.write_text("ADMIN_PASSWORD=s3cret-one\nADMIN_PASSWORD=s3cret-two\nMY_TOOL=1\nMY_TOOL=2\n")
    assert notes_on(env_file) == [
        "former.env sets ADMIN_PASSWORD several times, in lines 1 and 2; the last one counts.",
        "former.env sets names that nothing here reads: MY_TOOL.",
    ]
    loaded = env.load({"ENV_FILE": str(env_file), **REQUIRED})
    assert loaded.ADMIN_PASSWORD == "s3cret-two"


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ("ADMIN_PASSWORD=s3cret #s3cret", True),
        ("ADMIN_PASSWORD= #s3cret-s3cret", True),
        ("ADMIN_PASSWORD=s3cret-s3cret\t#1", True),
        ("ADMIN_PASSWORD=s3cret-s3cret # of the admin", False),
        ("ADMIN_PASSWORD=s3cret-s3cret ### of the admin", False),
        ("ADMIN_PASSWORD=s3cret-s3cret # see #1", False),
        ("ADMIN_PASSWORD=s3cret-s3cret #", False),
        ("ADMIN_PASSWORD='s3cret-s3cret' # x=1 #2", False),
        ("ADMIN_PASSWORD=s3cret#s3cret", False),
        ("ADMIN_PASSWORD='s3cret #s3cret'", False),
        ('ADMIN_PASSWORD = "s3cret-s3cret" #1', False),
        ("# ADMIN_PASSWORD=s3cret #1", False),
        ("# first #1\nADMIN_PASSWORD=s3cret-s3cret", False),
    ],
)
def test_a_value_that_ends_before_a_number_sign_is_told(line: str, is_told: bool, env_file: Path) -> None:
    env_file.write_text(line)
    try:
        reported = str(notes_on(env_file))
    except ConfigurationError as error:  # what is left is too short
        reported = str(error)
    assert ("ADMIN_PASSWORD ends before ' #'" in reported) == is_told
    assert "s3cret" not in reported


def test_a_reference_to_a_variable_is_told_and_kept_as_it_is(env_file: Path) -> None:
    env_file.write_text("ADMIN_PASSWORD=${HOME}-s3cret\nWEBHOOK_SECRET=a$b$$s3cret\nMY_TOOL=${HOME}\n")
    note, _unknown = notes_on(env_file)
    assert note == "former.env line 1: ${...} in ADMIN_PASSWORD is taken as it is; no variable is put in."
    assert env.load({"ENV_FILE": str(env_file), **REQUIRED}).ADMIN_PASSWORD == "${HOME}-s3cret"
