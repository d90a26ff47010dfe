"""Starts the provider, and speaks with it as the browser of a person does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from apps.launcher.processes import ManagedProcess
from tests.parallel import own_port
from tests.programs import ROOT

START_SECONDS = 60


class ProviderProcess:
    """The running provider."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False)

    def set_user(self, subject: str, **claims: Any) -> None:
        """Give a user its claims, in place of all before."""
        self._http.put(f"/users/{subject}", json=claims).raise_for_status()

    def set_fault(self, name: str) -> None:
        """Say what is wrong from now on; nothing for an empty name."""
        self._http.put("/fault", json=name).raise_for_status()

    def log_in(self, address: str, subject: str) -> str:
        """Log in at the address that our product redirects to; returns where the provider redirects to."""
        return self._answer(address, {"sub": subject})

    def deny(self, address: str) -> str:
        """Refuse the login; returns where the provider redirects to."""
        return self._answer(address, {"action": "deny"})

    def _answer(self, address: str, form: dict[str, str]) -> str:
        answer = self._http.post(address, data=form)
        assert answer.status_code == httpx.codes.FOUND, answer.text
        return str(answer.headers["Location"])

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_provider(directory: Path) -> Iterator[ProviderProcess]:
    """Run a provider on a port of its own."""
    port = own_port()
    process = ManagedProcess(
        [sys.executable, "-m", "tests.auth.oidc.provider", str(port)],
        name="provider",
        log_path=directory / "provider.log",
        env={"PYTHONPATH": str(ROOT), "AUTHLIB_INSECURE_TRANSPORT": "1", "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
    )
    process.start()
    provider = ProviderProcess(f"http://127.0.0.1:{port}")
    try:
        process.wait_until_ready(f"{provider.url}/jwks", timeout_seconds=START_SECONDS)
        yield provider
    finally:
        provider.close()
        process.stop()
