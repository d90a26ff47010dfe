"""Tells how many webhooks were refused because of their signature, and how many wait for MongoDB."""

from __future__ import annotations

from dataclasses import dataclass

from apps.mengla.ingest import parked, refused_signatures

# From this count on, WEBHOOK_SECRET probably differs between us and the service.
SUSPICIOUS_COUNT = refused_signatures.REFUSALS_THAT_COUNT


@dataclass(frozen=True, slots=True)
class RefusedWebhooks:
    """The refusals since the last valid signature, of an hour at most."""

    count: int
    threshold: int

    @property
    def is_suspicious(self) -> bool:
        """Whether a wrong secret is likely."""
        return self.count >= self.threshold


def read_refused_webhooks() -> RefusedWebhooks:
    """Return the refusals.

    :raises redis.RedisError: when Redis does not respond.
    """
    return RefusedWebhooks(refused_signatures.count_refused(), SUSPICIOUS_COUNT)


def count_parked_webhooks() -> int:
    """Return how many webhooks came while MongoDB was down and are not processed yet.

    :raises redis.RedisError: when Redis does not respond.
    """
    return parked.count_deferred()
