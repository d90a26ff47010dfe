"""The rules: each judges one aspect of the installation. They change no alert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial

import redis
import structlog
from django.conf import settings
from pymongo.errors import PyMongoError

from apps.admin.alerts import words
from apps.admin.alerts.catalogue import DEFINITIONS, key_of, keys_of, parse_key
from apps.admin.alerts.hit_window import note_lookups
from apps.admin.choices import SEVERITIES, AlertRule, Severity
from apps.core.liveness.processes import newest_heartbeat
from apps.core.time_texts import instant_text
from apps.mengla.dispatch import breaker_control
from apps.mengla.monitoring import queue_state, throughput
from apps.mengla.monitoring.webhook_counts import read_refused_webhooks

logger = structlog.get_logger(__name__)


class Verdict(Enum):
    """The verdict of a rule. ``UNKNOWN``: too little is known, so the alert stays as it is."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule has found; ``value`` is in the unit of its ``threshold``.

    ``message`` says what is bad, ``recovered`` makes the message of what is good again, from the seconds that
    the alert lasted. ``reason`` says why the verdict is unknown.
    """

    rule: AlertRule
    verdict: Verdict
    value: float | None
    threshold: float
    message: str
    action: str = ""
    recovered: Callable[..., str] = words.RECOVERED
    reason: str = ""

    @property
    def key(self) -> str:
        """The key of the alert that it concerns."""
        return key_of(self.rule, self.action)

    @property
    def severity(self) -> Severity:
        """The severity of the alert when the verdict is bad."""
        return SEVERITIES[self.rule]


def judge_all(*, now: datetime) -> list[Judgement]:
    """Evaluate every rule; one whose facts are unavailable is unknown. ``now`` is UTC without zone.

    :raises pymongo.errors.PyMongoError: when MongoDB does not respond; no alert could be stored then either.
    """
    judgements: list[Judgement] = []
    for judge, rules in _JUDGES.items():
        try:
            judgements += list(judge(now))
        except redis.RedisError as error:
            logger.warning("alert_facts_unavailable", error=type(error).__name__)
            judgements += _unjudged(rules, words.NO_REDIS())
        except PyMongoError:
            raise
        except Exception:
            logger.exception("alert_rule_failed")  # the other rules are still evaluated
            judgements += _unjudged(rules, words.EVALUATION_FAILED())
    return judgements


def _unjudged(rules: tuple[AlertRule, ...], reason: str) -> Iterator[Judgement]:
    for rule in rules:
        for key in keys_of(rule):
            threshold = DEFINITIONS[rule].threshold
            yield Judgement(
                rule, Verdict.UNKNOWN, None, threshold, "", action=parse_key(key)[1], reason=reason
            )


def _judge_collections(now: datetime) -> Iterator[Judgement]:
    minutes, minimum = settings.ALERT_WINDOW_MINUTES, settings.ALERT_MIN_COLLECTIONS
    recent = throughput.recent_collections(within_seconds=minutes * 60)
    total = recent.answered + recent.failed
    rate = recent.answered / total if total else None
    message = words.ANSWERED(answered=recent.answered, total=total, minutes=minutes)
    if total == 1:
        message = words.ANSWERED_ONE(minutes=minutes)
    for rule in (AlertRule.LOW_SUCCESS_RATE, AlertRule.CRITICAL_SUCCESS_RATE):
        threshold = DEFINITIONS[rule].threshold
        is_bad = rate is not None and rate < threshold
        yield Judgement(
            rule,
            _verdict(rate, is_bad=is_bad, is_enough=total >= minimum),
            rate,
            threshold,
            message,
            recovered=partial(words.ANSWERED_AGAIN, percent=(rate or 0.0) * 100, minutes=minutes),
            reason=_too_few_collections(total),
        )
    mean, limit = recent.mean_seconds, settings.ALERT_LATENCY_SECONDS
    yield Judgement(
        AlertRule.HIGH_LATENCY,
        _verdict(
            mean,
            is_bad=mean is not None and mean > limit,
            is_enough=recent.answered >= minimum,
        ),
        mean,
        limit,
        words.SLOW(minutes=minutes, seconds=mean or 0.0),
        recovered=partial(words.FAST_AGAIN, mean_seconds=mean or 0.0),
        reason=_too_few_collections(recent.answered),
    )


def _too_few_collections(count: int) -> str:
    minutes = settings.ALERT_WINDOW_MINUTES
    if not count:
        return words.NO_COLLECTIONS(minutes=minutes)
    return words.FEW_COLLECTIONS(minutes=minutes, count=count, minimum=settings.ALERT_MIN_COLLECTIONS)


def _judge_cache(now: datetime) -> Iterator[Judgement]:
    minutes, minimum = settings.ALERT_WINDOW_MINUTES, settings.ALERT_MIN_READS
    lookups = note_lookups(now=now.replace(tzinfo=UTC))
    hits, total = (lookups.hits, lookups.total) if lookups else (0, 0)
    rate = hits / total if total else None
    threshold = settings.ALERT_CACHE_HIT_RATE
    message = words.AT_ONCE(hits=hits, total=total, minutes=minutes)
    reason = words.FEW_READS(minutes=minutes, count=total, minimum=minimum)
    if lookups is None:
        reason = words.NO_EARLIER_READS()
    elif not total:
        reason = words.NO_READS(minutes=minutes)
    yield Judgement(
        AlertRule.LOW_CACHE_HIT_RATE,
        _verdict(rate, is_bad=rate is not None and rate < threshold, is_enough=total >= minimum),
        rate,
        threshold,
        words.AT_ONCE_ONE(minutes=minutes) if total == 1 else message,
        recovered=partial(words.HIT_AGAIN, percent=(rate or 0.0) * 100, minutes=minutes),
        reason=reason,
    )


def _judge_empty_streaks(now: datetime) -> Iterator[Judgement]:
    threshold = settings.ALERT_EMPTY_STREAK
    for action, streak in queue_state.empty_streaks().items():
        yield Judgement(
            AlertRule.EMPTY_STREAK,
            _verdict(streak, is_bad=streak >= threshold),
            float(streak),
            float(threshold),
            words.EMPTY_ONE() if streak == 1 else words.EMPTY(count=streak),
            action=action,
            recovered=words.FIGURES_AGAIN,
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
        words.WAITING(minutes=minutes),
        recovered=words.MOVING_AGAIN,
    )


def _judge_breaker(now: datetime) -> Iterator[Judgement]:
    breaker = breaker_control.read_breaker()
    outage = words.OUTAGES.get(breaker.reason or "")
    if outage is not None and breaker.since is not None:
        message = outage(since=instant_text(breaker.since))
    elif breaker.failures > 1:
        message = words.UNANSWERED(count=breaker.failures)
    else:
        message = words.UNANSWERED_ONE()
    # Half-open is undecided until the probe ends.
    is_known = breaker.state in ("open", "closed")
    yield Judgement(
        AlertRule.BREAKER_OPEN,
        _verdict(breaker.failures if is_known else None, is_bad=breaker.state == "open"),
        float(breaker.failures),
        float(breaker.failure_threshold),
        message,
        recovered=words.RESPONDS_AGAIN,
        reason=words.PROBING(),
    )


def _judge_workers(now: datetime) -> Iterator[Judgement]:
    limit_seconds = float(settings.ALERT_WORKER_SILENT_SECONDS)
    newest = newest_heartbeat()
    age = newest.age_seconds if newest else None
    message = words.NO_WORKER() if age is None else words.OLD_REPORT(seconds=age)
    yield Judgement(
        AlertRule.WORKER_SILENT,
        Verdict.BAD if age is None or age > limit_seconds else Verdict.GOOD,
        age,
        limit_seconds,
        message,
        recovered=words.REPORTS_AGAIN,
    )


def _judge_signatures(now: datetime) -> Iterator[Judgement]:
    refused = read_refused_webhooks()
    is_one = refused.count == 1
    yield Judgement(
        AlertRule.WRONG_SIGNATURES,
        _verdict(refused.count, is_bad=refused.is_suspicious),
        float(refused.count),
        float(refused.threshold),
        words.SIGNED_WRONGLY_ONE() if is_one else words.SIGNED_WRONGLY(count=refused.count),
        recovered=words.SIGNED_AGAIN,
    )


def _verdict(value: float | None, *, is_bad: bool, is_enough: bool = True) -> Verdict:
    """Return the verdict on a value; too few facts can show that a value is good, but not that it is bad."""
    if value is None or (is_bad and not is_enough):
        return Verdict.UNKNOWN
    return Verdict.BAD if is_bad else Verdict.GOOD


_JUDGES: dict[Callable[[datetime], Iterator[Judgement]], tuple[AlertRule, ...]] = {
    _judge_collections: (
        AlertRule.LOW_SUCCESS_RATE,
        AlertRule.CRITICAL_SUCCESS_RATE,
        AlertRule.HIGH_LATENCY,
    ),
    _judge_cache: (AlertRule.LOW_CACHE_HIT_RATE,),
    _judge_empty_streaks: (AlertRule.EMPTY_STREAK,),
    _judge_queue: (AlertRule.QUEUE_STUCK,),
    _judge_breaker: (AlertRule.BREAKER_OPEN,),
    _judge_workers: (AlertRule.WORKER_SILENT,),
    _judge_signatures: (AlertRule.WRONG_SIGNATURES,),
}
