"""The rules: each judges one aspect of the installation. They change no alert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import redis
import structlog
from django.conf import settings
from pymongo.errors import PyMongoError

from apps.admin.alerts.hit_window import note_lookups
from apps.admin.alerts.words import (
    ANSWERED,
    AT_ONCE,
    EMPTY,
    NO_WORKER,
    OLD_REPORT,
    OUTAGES,
    SIGNED_WRONGLY,
    SLOW,
    UNANSWERED,
    WAITING,
)
from apps.admin.choices import SEVERITIES, AlertRule, Severity
from apps.core.liveness.processes import newest_heartbeat
from apps.core.time_texts import instant_text
from apps.mengla.dispatch import breaker_control
from apps.mengla.monitoring import queue_state, throughput
from apps.mengla.monitoring.signatures import read_refused_webhooks

logger = structlog.get_logger(__name__)


class Verdict(Enum):
    """The verdict of a rule. ``UNKNOWN``: too little is known, so the alert stays as it is."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule has found; ``value`` is in the unit of its ``threshold``."""

    rule: AlertRule
    verdict: Verdict
    value: float | None
    threshold: float
    message: str
    action: str = ""

    @property
    def key(self) -> str:
        """The key of the alert that it concerns."""
        return f"{self.rule}:{self.action}" if self.action else self.rule.value

    @property
    def severity(self) -> Severity:
        """The severity of the alert when the verdict is bad."""
        return SEVERITIES[self.rule]


def judge_all(*, now: datetime) -> list[Judgement]:
    """Evaluate every rule; one whose facts are unavailable gives no judgement. ``now`` is UTC without zone.

    :raises pymongo.errors.PyMongoError: when MongoDB does not respond; no alert could be stored then either.
    """
    judgements: list[Judgement] = []
    for judge in _JUDGES:
        try:
            judgements += judge(now)
        except redis.RedisError as error:
            logger.warning("alert_facts_unavailable", error=type(error).__name__)
        except PyMongoError:
            raise
        except Exception:
            logger.exception("alert_rule_failed")  # the other rules are still evaluated
    return judgements


def _judge_collections(now: datetime) -> Iterator[Judgement]:
    recent = throughput.recent_collections(within_seconds=settings.ALERT_WINDOW_MINUTES * 60)
    total = recent.answered + recent.failed
    rate = recent.answered / total if total else None
    message = ANSWERED(answered=recent.answered, total=total, minutes=settings.ALERT_WINDOW_MINUTES)
    is_enough = total >= settings.ALERT_MIN_COLLECTIONS
    for rule, threshold in (
        (AlertRule.LOW_SUCCESS_RATE, settings.ALERT_SUCCESS_RATE_WARNING),
        (AlertRule.CRITICAL_SUCCESS_RATE, settings.ALERT_SUCCESS_RATE_CRITICAL),
    ):
        is_bad = rate is not None and rate < threshold
        yield Judgement(rule, _verdict(rate, is_bad=is_bad, is_enough=is_enough), rate, threshold, message)
    mean, limit = recent.mean_seconds, settings.ALERT_LATENCY_SECONDS
    yield Judgement(
        AlertRule.HIGH_LATENCY,
        _verdict(
            mean,
            is_bad=mean is not None and mean > limit,
            is_enough=recent.answered >= settings.ALERT_MIN_COLLECTIONS,
        ),
        mean,
        limit,
        SLOW(minutes=settings.ALERT_WINDOW_MINUTES, seconds=mean or 0.0),
    )


def _judge_cache(now: datetime) -> Iterator[Judgement]:
    lookups = note_lookups(now=now.replace(tzinfo=UTC))
    rate = lookups.hits / lookups.total if lookups and lookups.total else None
    threshold = settings.ALERT_CACHE_HIT_RATE
    total = lookups.total if lookups else 0
    yield Judgement(
        AlertRule.LOW_CACHE_HIT_RATE,
        _verdict(
            rate,
            is_bad=rate is not None and rate < threshold,
            is_enough=total >= settings.ALERT_MIN_READS,
        ),
        rate,
        threshold,
        AT_ONCE(hits=lookups.hits if lookups else 0, total=total, minutes=settings.ALERT_WINDOW_MINUTES),
    )


def _judge_empty_streaks(now: datetime) -> Iterator[Judgement]:
    threshold = settings.ALERT_EMPTY_STREAK
    for action, streak in queue_state.empty_streaks().items():
        yield Judgement(
            AlertRule.EMPTY_STREAK,
            _verdict(streak, is_bad=streak >= threshold),
            float(streak),
            float(threshold),
            EMPTY(count=streak),
            action=action,
        )


def _judge_queue(now: datetime) -> Iterator[Judgement]:
    limit_seconds = settings.ALERT_QUEUE_STUCK_MINUTES * 60
    wait = throughput.queue_wait(moved_within_seconds=limit_seconds)
    urgent, planned = wait.urgent_seconds or 0.0, wait.planned_seconds or 0.0
    # A large backfill may wait for days: that is fine as long as the queue moves.
    is_bad = urgent > limit_seconds or (planned > limit_seconds and not wait.is_moving)
    minutes = max(urgent, planned) / 60
    yield Judgement(
        AlertRule.QUEUE_STUCK,
        _verdict(minutes, is_bad=is_bad),
        minutes,
        float(settings.ALERT_QUEUE_STUCK_MINUTES),
        WAITING(minutes=minutes),
    )


def _judge_breaker(now: datetime) -> Iterator[Judgement]:
    breaker = breaker_control.read_breaker()
    outage = OUTAGES.get(breaker.reason or "")
    message = UNANSWERED(count=breaker.failures)
    if outage is not None and breaker.since is not None:
        message = outage(since=instant_text(breaker.since))
    # Half-open is undecided until the probe ends.
    is_known = breaker.state in ("open", "closed")
    yield Judgement(
        AlertRule.BREAKER_OPEN,
        _verdict(breaker.failures if is_known else None, is_bad=breaker.state == "open"),
        float(breaker.failures),
        float(breaker.failure_threshold),
        message,
    )


def _judge_workers(now: datetime) -> Iterator[Judgement]:
    limit_seconds = float(settings.ALERT_WORKER_SILENT_SECONDS)
    newest = newest_heartbeat()
    age = newest.age_seconds if newest else None
    message = NO_WORKER() if age is None else OLD_REPORT(seconds=age)
    yield Judgement(
        AlertRule.WORKER_SILENT,
        Verdict.BAD if age is None or age > limit_seconds else Verdict.GOOD,
        age,
        limit_seconds,
        message,
    )


def _judge_signatures(now: datetime) -> Iterator[Judgement]:
    refused = read_refused_webhooks()
    yield Judgement(
        AlertRule.WRONG_SIGNATURES,
        _verdict(refused.count, is_bad=refused.is_suspicious),
        float(refused.count),
        float(refused.threshold),
        SIGNED_WRONGLY(count=refused.count),
    )


def _verdict(value: float | None, *, is_bad: bool, is_enough: bool = True) -> Verdict:
    """Return the verdict on a value; too few facts can show that a value is good, but not that it is bad."""
    if value is None or (is_bad and not is_enough):
        return Verdict.UNKNOWN
    return Verdict.BAD if is_bad else Verdict.GOOD


_JUDGES: tuple[Callable[[datetime], Iterator[Judgement]], ...] = (
    _judge_collections,
    _judge_cache,
    _judge_empty_streaks,
    _judge_queue,
    _judge_breaker,
    _judge_workers,
    _judge_signatures,
)
