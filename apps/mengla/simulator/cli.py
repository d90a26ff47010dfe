"""The command-line flags of the simulator, and the function that runs it in the foreground."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from apps.mengla.simulator.knobs import add_knob_flags, knobs_from_flags
from apps.mengla.simulator.server import Simulator
from apps.mengla.simulator.state import SimulatorConfig

MAX_PORT = 65535
MAX_SECRET_BYTES = 64 * 1024


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add every flag; the value of a flag that is not given is None."""
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on; 0 picks a free one (default 0)")
    parser.add_argument(
        "--seed", type=int, help="seed of the rates: decides which requests they affect (default 0)"
    )
    parser.add_argument("--task-name", help="name of the managed task")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="file to which requests and webhooks are appended"
    )
    parser.add_argument(
        "--webhook-attempts", type=_attempts, help="how often a webhook is sent until it is taken (default 4)"
    )
    for name, meaning in (
        ("api-key", "Bearer key that callers must send"),
        ("webhook-secret", "key of the webhook signature"),
    ):
        group = parser.add_mutually_exclusive_group()
        group.add_argument(f"--{name}", help=f"{meaning}; empty: none")
        group.add_argument(
            f"--{name}-file", type=_secret_file, metavar="FILE", help="file to read it from instead"
        )
    add_knob_flags(parser)


def config_from_flags(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> SimulatorConfig:
    """Return the configuration that the flags describe; ``defaults`` apply to flags that are not given."""
    given = {
        "host": options.get("host"),
        "port": options.get("port"),
        "seed": options.get("seed"),
        "task_name": options.get("task_name"),
        "journal_path": options.get("journal"),
        "webhook_attempts": options.get("webhook_attempts"),
        "api_key": _first(options.get("api_key_file"), options.get("api_key")),
        "webhook_secret": _first(options.get("webhook_secret_file"), options.get("webhook_secret")),
    }
    wanted = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    return SimulatorConfig(**wanted, knobs=knobs_from_flags(options))


def run_until_signal(config: SimulatorConfig, announce: Callable[[str], None]) -> None:
    """Run a simulator until SIGTERM or SIGINT, then stop it; ``announce`` gets a line with its URL."""
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before any thread starts: all threads inherit the mask, so only sigwait gets the signals.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with Simulator(config) as simulator:
            announce(f"simulator listening on {simulator.url}")
            signal.sigwait(signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MAX_PORT):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"must be a port, 0 to {MAX_PORT}")
    return int(text)


def _attempts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text) > 0):  # noqa: PLR2004
        raise argparse.ArgumentTypeError("must be a whole number, 1 to 99")
    return int(text)


def _secret_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {type(error).__name__}") from error


def _first(*values: str | None) -> str | None:
    return next((value for value in values if value is not None), None)
