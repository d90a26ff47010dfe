"""The simulator's knobs, which make it slow or faulty: set by flag, by ``POST /knobs`` or per request."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

PARAMETERS_KEY = "_sim"

MAX_SECONDS = 3600.0
_GLOBAL_ONLY = frozenset({"concurrency", "task_id", "decoy_tasks", "max_page_size"})


class InvalidKnobs(ValueError):
    """Invalid knobs; the message names each invalid knob and its allowed values."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one knob is checked: ``check`` takes a JSON value, ``read`` makes one of the text of a flag."""

    expected: str
    check: Callable[[Any], Any]
    read: Callable[[str], Any]


def _number(value: object, low: float, high: float) -> float:
    # A JSON integer can be too large for a float, so the range is checked before the conversion. NaN fails
    # every comparison, so it is refused, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    return float(value)


def _whole(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError
    return value


def _seconds(default: float, help_text: str) -> Any:
    kind = _Kind(f"a number of seconds, 0 to {MAX_SECONDS:g}", lambda v: _number(v, 0, MAX_SECONDS), float)
    return field(default=default, metadata={"kind": kind, "help": help_text})


def _rate(help_text: str) -> Any:
    kind = _Kind("a share between 0 and 1", lambda v: _number(v, 0, 1), float)
    return field(default=0.0, metadata={"kind": kind, "help": help_text})


def _count(default: int, low: int, high: int, help_text: str) -> Any:
    kind = _Kind(f"a whole number, {low} to {high}", lambda v: _whole(v, low, high), int)
    return field(default=default, metadata={"kind": kind, "help": help_text})


def _flag(help_text: str) -> Any:
    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - every kind refuses with the same error type
        return value

    return field(
        default=False, metadata={"kind": _Kind("true or false", check, bool), "help": help_text, "flag": True}
    )


def _choice(default: str, choices: tuple[str, ...], help_text: str) -> Any:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    kind = _Kind(f"one of {', '.join(choices)}", check, str)
    return field(default=default, metadata={"kind": kind, "help": help_text})


def _identifier(default: str, help_text: str) -> Any:
    def check(value: object) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isascii():  # noqa: PLR2004
            raise ValueError
        if not all(character.isalnum() or character in "-_" for character in value):
            raise ValueError
        return value

    kind = _Kind("1 to 64 letters, digits, - or _", check, str)
    return field(default=default, metadata={"kind": kind, "help": help_text})


GARBAGE_KINDS = ("any", "html", "list", "string")
EMPTY_KINDS = ("any", "missing_key", "code", "null", "empty_list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """The values of all knobs; the defaults are those of a healthy service."""

    delay_seconds: float = _seconds(0.5, "how long one execution runs")
    jitter_seconds: float = _seconds(0.0, "random extra time of each execution, up to this")
    failure_rate: float = _rate(
        "share of executions that fail: their webhook has status failed and a message"
    )
    drop_rate: float = _rate("share of executions that are accepted and never call back")
    duplicate_rate: float = _rate("share of results that are sent twice")
    duplicate_delay_seconds: float = _seconds(0.0, "delay before the second copy; 0 sends both at once")
    heartbeats: int = _count(0, 0, 100, "queued and running webhooks sent before the result")
    early: bool = _flag("call back before the response to the execute request is sent")
    late_seconds: float = _seconds(0.0, "send the result this long after the execution ended")
    wrong_signature_rate: float = _rate("share of webhooks signed with a wrong secret")
    garbage_rate: float = _rate("share of result webhooks whose body is not a result")
    garbage_kind: str = _choice("any", GARBAGE_KINDS, "what a garbage webhook looks like")
    empty_rate: float = _rate("share of results without figures")
    empty_kind: str = _choice("any", EMPTY_KINDS, "what an empty result looks like")
    execute_error_rate: float = _rate("share of execute requests that fail with execute_status")
    execute_status: int = _count(500, 400, 599, "HTTP status of these failures")
    retry_after_seconds: int = _count(1, 0, 3600, "Retry-After sent with 429 and 503")
    hang_seconds: float = _seconds(0.0, "how long an execute request hangs before it is processed")
    down: bool = _flag("close every connection to /api/ without a response")
    flat_wrap: int = _count(0, 0, 20, "extra resultData/data wrappers around a result")
    bare_lists: bool = _flag("send rankings and trend points as bare lists")
    echo: bool = _flag("put the parameters of the query into every row and point, as _asked")
    stamp: bool = _flag("put the id of the execution into every row and point, as _execution")
    concurrency: int = _count(1, 1, 1000, "executions that run at once; the others wait")
    task_id: str = _identifier("sim-mengla-collect", "the id of the managed task")
    decoy_tasks: int = _count(2, 0, 1000, "other managed tasks that are listed before ours")
    max_page_size: int = _count(1000, 1, 1000, "most tasks on a page of the list, whatever is asked for")
    bom: bool = _flag("begin every response and webhook with a byte order mark")

    def as_dict(self) -> dict[str, Any]:
        """Return all knobs as JSON values."""
        return asdict(self)

    def changed(self, changes: object, *, per_request: bool = False) -> Knobs:
        """Return a copy with ``changes`` applied.

        :raises InvalidKnobs: when one of the changes is invalid; then none of them applies.
        """
        if not isinstance(changes, Mapping):
            raise InvalidKnobs("knobs must be a JSON object of knob names and values")
        kinds: dict[str, _Kind] = {f.name: f.metadata["kind"] for f in fields(self)}
        problems: list[str] = []
        good: dict[str, Any] = {}
        for name, value in changes.items():
            kind = kinds.get(name)
            if kind is None or (per_request and name in _GLOBAL_ONLY):
                problems.append(f"{str(name)[:64]!r}: no such knob here")
                continue
            try:
                good[name] = kind.check(value)
            except (ValueError, OverflowError):
                problems.append(f"{name}: must be {kind.expected}")
        if problems:
            raise InvalidKnobs("; ".join(problems[:20]))
        return replace(self, **good)


def add_knob_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each knob; without its flag a knob keeps its default."""
    group = parser.add_argument_group("knobs", "also settable at run time with POST /knobs")
    for knob in fields(Knobs):
        kind: _Kind = knob.metadata["kind"]
        option = "--" + knob.name.replace("_", "-")
        help_text = f"{knob.metadata['help']} (default {knob.default})"
        if knob.metadata.get("flag"):
            group.add_argument(
                option, dest=knob.name, action=argparse.BooleanOptionalAction, default=None, help=help_text
            )
        else:
            group.add_argument(
                option, dest=knob.name, type=_flag_reader(kind), default=None, metavar="X", help=help_text
            )


def knobs_from_flags(options: Mapping[str, Any]) -> Knobs:
    """Return the knobs that the parsed flags set."""
    given = {f.name: options[f.name] for f in fields(Knobs) if options.get(f.name) is not None}
    return Knobs().changed(given)


def _flag_reader(kind: _Kind) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind.check(kind.read(text))
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"must be {kind.expected}") from None

    return read
