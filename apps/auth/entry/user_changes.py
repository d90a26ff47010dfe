"""Notices each change of what a user may do, whoever makes it: a page, a command, the API or other code.

Signals see every ``save``, ``delete`` and change of groups and permissions. They do not see
``QuerySet.update``, which must not be used for users (``test_no_code_updates_users_past_their_signals``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from apps.auth.tokens.caller_cache import known_callers, user_key

_DONE = frozenset({"post_add", "post_remove", "post_clear"})
_BEFORE_CLEAR = "pre_clear"


def watch_users() -> None:
    """Connect the signals; called once, when the app is ready."""
    post_save.connect(_on_save, sender=User, dispatch_uid="user_changes.save")
    post_delete.connect(_on_delete, sender=User, dispatch_uid="user_changes.delete")
    m2m_changed.connect(_on_rights, sender=User.groups.through, dispatch_uid="user_changes.groups")
    m2m_changed.connect(
        _on_rights, sender=User.user_permissions.through, dispatch_uid="user_changes.permissions"
    )
    m2m_changed.connect(
        _on_group_rights, sender=Group.permissions.through, dispatch_uid="user_changes.group_permissions"
    )
    pre_delete.connect(_before_group_deletion, sender=Group, dispatch_uid="user_changes.group_deletion")
    post_delete.connect(_on_group_deletion, sender=Group, dispatch_uid="user_changes.group_deleted")


def _mark(user_ids: Iterable[Any]) -> None:
    # Late, because it loads PyJWT and every process imports this module.
    from apps.auth.selectors import load_user_state

    for user_id in map(str, user_ids):
        known_callers.mark_changed(user_key(user_id), partial(load_user_state, user_id))


def _on_save(*, instance: User, created: bool, update_fields: frozenset[str] | None, **_: Any) -> None:
    # A login only notes its time, and nobody knows a new user yet.
    if not created and update_fields != frozenset({"last_login"}):
        _mark([instance.pk])


def _on_delete(*, instance: User, **_: Any) -> None:
    _mark([instance.pk])


def _on_rights(*, sender: Any, instance: Any, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:
    if not reverse:
        if action in _DONE:
            _mark([instance.pk])
    elif action == _BEFORE_CLEAR:  # afterwards nobody can say who they were
        field = "groups" if sender is User.groups.through else "user_permissions"
        instance._users_before = _users_with(**{field: instance})
    elif action in _DONE:
        _mark(pk_set or getattr(instance, "_users_before", ()))


def _on_group_rights(*, instance: Any, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:
    if reverse and action == _BEFORE_CLEAR:
        instance._groups_before = list(Group.objects.filter(permissions=instance))
    if action not in _DONE:
        return
    if reverse:
        groups = Group.objects.filter(pk__in=pk_set) if pk_set else getattr(instance, "_groups_before", ())
    else:
        groups = [instance]
    for group in groups:
        _mark(_users_with(groups=group))


def _before_group_deletion(*, instance: Any, **_: Any) -> None:
    instance._users_before = _users_with(groups=instance)


def _on_group_deletion(*, instance: Group, **_: Any) -> None:
    _mark(getattr(instance, "_users_before", ()))


def _users_with(**facts: Any) -> list[Any]:
    return list(User.objects.filter(**facts).values_list("pk", flat=True))
