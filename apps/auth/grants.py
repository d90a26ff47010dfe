"""Which rights a user may give to others: those that it has itself."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet
from django.http import HttpRequest


def is_within_rights(request: HttpRequest, user: User) -> bool:
    """Whether the user of the request has every permission of ``user``, also of an inactive one."""
    if user.is_superuser:
        return False
    direct = _names(user.user_permissions.all())
    return direct | _names_of_groups(user.groups.all()) <= _own(request)


def groups_within_rights(request: HttpRequest) -> QuerySet[Group]:
    """Return the groups of which the user of the request has every permission."""
    own = _own(request)
    keys = [group.pk for group in Group.objects.all() if _names(group.permissions.all()) <= own]
    return Group.objects.filter(pk__in=keys)


def _own(request: HttpRequest) -> set[str]:
    return cast("User", request.user).get_all_permissions()


def _names_of_groups(groups: QuerySet[Group]) -> set[str]:
    return set().union(*(_names(group.permissions.all()) for group in groups))


def _names(permissions: QuerySet[Permission]) -> set[str]:
    rows = permissions.order_by().values_list("content_type__app_label", "codename")
    return {f"{label}.{codename}" for label, codename in rows}
