"""Silences: a silenced rule is still evaluated, but sends no notices."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.utils.translation import gettext as _

from apps.admin.alerts.catalogue import DEFINITIONS, key_of
from apps.admin.choices import AlertRule
from apps.admin.models import AlertSilence
from apps.core.errors import InvalidInput
from apps.core.printable import list_text
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import instant_text
from apps.mengla.choices import Action

audit = structlog.get_logger("collector.audit")

MAX_MINUTES = 43_200
MAX_REASON = 200
Document = dict[str, Any]


def silence_rule(
    rule: AlertRule, *, minutes: int, silenced_by: str, action: str = "", reason: str = ""
) -> datetime:
    """Silence a rule from now on, firing or not; returns the end, UTC without zone.

    With an ``action``, only the alert of this data set is silenced. An earlier silence is replaced.

    :raises InvalidInput: when the rule has no alert for the action.
    """
    _check_action(rule, action)
    now = utc_now()
    until = now + timedelta(minutes=minutes)
    collection_of(AlertSilence).update_one(
        {"_id": key_of(rule, action)},
        {
            "$set": {
                "silenced_until": until,
                "silenced_by": silenced_by,
                "silenced_at": now,
                "reason": reason[:MAX_REASON],
            }
        },
        upsert=True,
    )
    audit.info(
        "alert_silenced",
        rule=rule.value,
        action=action,
        minutes=minutes,
        reason=reason,
        silenced_by=silenced_by,
    )
    return until


def end_silence(rule: AlertRule, *, ended_by: str, action: str = "") -> bool:
    """End a silence; may be repeated. Returns whether it was still in effect.

    :raises InvalidInput: when the rule has no alert for the action.
    """
    _check_action(rule, action)
    deleted = collection_of(AlertSilence).find_one_and_delete({"_id": key_of(rule, action)})
    if deleted is None or deleted["silenced_until"] <= utc_now():
        return False
    audit.info("alert_silence_ended", rule=rule.value, action=action, ended_by=ended_by)
    return True


def find_silence(rule: AlertRule, action: str = "") -> Document | None:
    """Return the silence in effect of this key; None when it is not silenced."""
    return collection_of(AlertSilence).find_one(
        {"_id": key_of(rule, action), "silenced_until": {"$gt": utc_now()}}
    )


def replaced_text(rule: AlertRule, action: str, *, minutes: int) -> str:
    """Return what a new silence from now on does to the one in effect; "" without one."""
    silence = find_silence(rule, action)
    if silence is None:
        return ""
    facts = {"time": instant_text(silence["silenced_until"]), "user": silence["silenced_by"]}
    is_earlier = utc_now() + timedelta(minutes=minutes) < silence["silenced_until"]
    if is_earlier:
        text = _("It is silenced until %(time)s, by %(user)s. The new silence replaces it and ends earlier.")
    else:
        text = _("It is silenced until %(time)s, by %(user)s. The new silence replaces it.")
    return text % facts


def active_silences(now: datetime) -> dict[str, Document]:
    """Return the silences in effect by their keys."""
    return {one["_id"]: one for one in collection_of(AlertSilence).find({"silenced_until": {"$gt": now}})}


def silence_of(silences: dict[str, Document], rule: str, action: str) -> Document | None:
    """Return the silence that covers an alert: its own or that of the whole rule, whichever ends later."""
    found = [one for key in {rule, key_of(rule, action)} if (one := silences.get(key)) is not None]
    return max(found, key=lambda one: one["silenced_until"], default=None)


def delete_expired(now: datetime) -> None:
    """Delete the silences that are over."""
    collection_of(AlertSilence).delete_many({"silenced_until": {"$lte": now}})


def _check_action(rule: AlertRule, action: str) -> None:
    """Refuse a data set of a rule that has none, and an unknown one."""
    if not action:
        return
    if not DEFINITIONS[rule].is_by_action:
        raise InvalidInput(_("This rule has no alerts by data set."), fields={"action": [_("Leave it out.")]})
    if action not in Action.values:
        problem = _("Must be one of: %(names)s.") % {"names": list_text(Action.values)}
        raise InvalidInput(_("There is no such data set."), fields={"action": [problem]})
