"""The history of the admin: who changed what, stored as codes and parameters.

``change_message`` of Django's log entry holds JSON: the message as
:data:`apps.core.stored_messages.HISTORY` stores it, and under ``object`` the same for the name of the changed
row, if that name is translated. Entries of Django's own forms, and those of older releases, are shown as
Django shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import override

from apps.core.stored_messages import HISTORY, Message, name_in_history


def note_history(
    request: HttpRequest,
    rows: Iterable[Model],
    what: Message,
    *,
    flag: int = CHANGE,
    about: str | Promise = "",
    name: Message | None = None,
) -> None:
    """Write into the history that the user of the request made this change to these rows.

    A change of no row, such as pausing all schedules, makes one entry, which names ``about`` as its object. A
    model whose name is translated has a method ``history_name``, which returns ``name_in_history``; for a
    model of another package, ``name`` is that.
    """
    user_id = str(request.user.pk)
    given = list(rows)
    for row in given:
        own_name = row.history_name() if name is None and hasattr(row, "history_name") else name
        with override(None):
            LogEntry.objects.log_actions(
                user_id=user_id,
                queryset=[row],
                action_flag=flag,
                change_message=_packed(what, own_name),
                single_object=True,
            )
    if not given:
        about_name = name_in_history(about)
        LogEntry.objects.create(
            user_id=user_id,
            object_repr=str(about_name),
            action_flag=flag,
            change_message=_packed(what, about_name),
        )


def change_text(entry: LogEntry) -> str:
    """Return what an entry says, in the language of the reader."""
    stored = _unpacked(entry)
    if stored is not None:
        return HISTORY.shown(stored)
    return entry.get_change_message() or str(entry.get_action_flag_display())


def object_text(entry: LogEntry) -> str:
    """Return the name of the changed object in the language of the reader."""
    name = (_unpacked(entry) or {}).get("object")
    if isinstance(name, dict) and isinstance(name.get("text"), str):
        return HISTORY.shown(name)
    return entry.object_repr


def translate_entry(entry: LogEntry) -> None:
    """Let an entry show itself in the language of the reader, on those pages that Django renders."""
    text, name = change_text(entry), object_text(entry)
    entry.get_change_message = partial(str, text)  # type: ignore[method-assign]
    entry.object_repr = name


def _packed(what: Message, name: Message | None) -> str:
    stored: dict[str, Any] = HISTORY.stored(what)
    if name is not None:
        stored["object"] = HISTORY.stored(name)
    return json.dumps(stored, ensure_ascii=False)


def _unpacked(entry: LogEntry) -> dict[str, Any] | None:
    """Return the document that :func:`note_history` has stored; None for an entry of other origin."""
    try:
        stored = json.loads(entry.change_message)
    except (ValueError, RecursionError):
        return None
    return stored if isinstance(stored, dict) and isinstance(stored.get("text"), str) else None
