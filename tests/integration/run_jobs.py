"""What the child processes of the tests of runs do besides the product's own functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from apps.core.periods import parse_period
from apps.core.scheduling.schedules import schedule_id
from apps.core.storage.mongo import named_collection
from apps.mengla.choices import Action
from apps.mengla.runs.collect import Order, Selection, backfill_plan, period_plan, start


def start_month(month: str) -> str:
    """Start the collection of a month; returns the run's id."""
    return start(period_plan(parse_period(month)), Order("tests")).run_id


def start_backfill(first_day: str, last_day: str) -> str:
    """Start a backfill of some days without their trends; returns the run's id."""
    selection = Selection(actions=tuple(action for action in Action if action != Action.INDUSTRY_TREND))
    plan = backfill_plan(parse_period(first_day), parse_period(last_day), selection=selection)
    return start(plan, Order("tests")).run_id


def make_due(schedule: str, intended_at: str) -> None:
    """Make a schedule due, as if its planned instant had just passed."""
    intended = datetime.fromisoformat(intended_at).astimezone(UTC).replace(tzinfo=None)
    assert intended < datetime.now(UTC).replace(tzinfo=None) + timedelta(days=36_500)
    named_collection("django_q_schedule").update_one(
        {"_id": schedule_id(schedule)}, {"$set": {"next_run": intended}}
    )


def reschedule(schedule: str, cron: str) -> None:
    """Give a schedule other times, as an operator does."""
    updated = named_collection("django_q_schedule").update_one(
        {"_id": schedule_id(schedule)},
        {"$set": {"cron": cron, "next_run": datetime.now(UTC) + timedelta(days=100)}},
    )
    assert updated.matched_count == 1
