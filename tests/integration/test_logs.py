"""What the processes write: their doings, and no secret."""

from __future__ import annotations

import pytest

from tests.integration.stack import Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]


def test_no_secret_and_no_fork_warning_reaches_a_log(stack: Stack) -> None:
    """Besides this test, every stack of these tests is checked in the same way when it stops."""
    token, token_id = stack.create_token()
    wrong_password = stack.remember("a-wrong-password-of-somebody")
    with stack.client(token) as client:
        assert (
            client.get("/api/auth/me", params={"token": token, "password": wrong_password}).status_code == 200
        )
        assert client.get(f"/api/auth/tokens/{token}").status_code in (403, 405)
        assert client.get(f"/api/nothing/{token}").status_code == 404
        assert (
            client.post("/api/auth/login", json={"username": "admin", "password": wrong_password}).status_code
            == 401
        )
        assert client.post("/api/auth/login", content=f"{{{wrong_password}").status_code in (400, 415)
    assert stack.delete(f"/api/auth/tokens/{token_id}").status_code == 200
    with stack.client(token) as client:
        assert client.get("/api/auth/me").status_code == 401

    # An attempt whose webhook is refused: its address holds the attempt token.
    forged = stack.questions.one(wrong_signature_rate=1)
    (collection_id,) = stack.ask_all([forged])
    wait_until(
        lambda: stack.simulator.stats()["webhooks"]["failed"],
        timeout_seconds=15,
        what="the webhook is refused",
    )
    attempt_token = stack.collection(collection_id)["attempt_token"]
    stack.collect(stack.questions.one())
    stack.simulator.set_knobs(down=True)
    stack.ask_all([stack.questions.one()])
    wait_until(
        lambda: stack.simulator.stats()["requests_while_down"],
        timeout_seconds=15,
        what="the service is asked",
    )

    text = stack.log_text()
    # The logs are those of this stack, at work ...
    for event in ("collection_sent", "webhook_taken", "token_created", "token_revoked", "login"):
        assert event in text
    assert attempt_token
    # ... and hold nothing that opens a door.
    assert stack.find_leaks() == []


def test_the_search_for_leaks_finds_one(stack: Stack) -> None:
    path = stack.directory / "leak.log"
    (collection_id,) = stack.ask_all([stack.questions.one(drop_rate=1)])
    token = wait_until(
        lambda: stack.collection(collection_id)["attempt_token"], timeout_seconds=15, what="it is sent"
    )
    secret = stack.environment["WEBHOOK_SECRET"]
    lines = [
        f"POST /api/webhook/mengla-notify?token={token}",
        f"secret {secret}",
        "MongoClient opened before fork. May not be entirely fork-safe, proceed with caution.",
    ]
    path.write_text("\n".join([*lines, "harmless"]))
    assert stack.find_leaks() == lines
    path.unlink()
