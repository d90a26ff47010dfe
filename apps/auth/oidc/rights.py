"""What the groups of the provider may do here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.contrib.auth.models import Group

SUPERUSER = "superuser"  # a role that is no group here: it has all rights


@dataclass(frozen=True, slots=True)
class Rights:
    """The names of groups here, and whether the user has all rights."""

    groups: frozenset[str]
    is_superuser: bool


def rights_of(claims: Mapping[str, Any]) -> Rights | None:
    """Return what the user with these claims may do; None for no access."""
    groups = _groups_of(claims)
    if settings.OIDC_REQUIRED_GROUP and settings.OIDC_REQUIRED_GROUP not in groups:
        return None
    by_group = roles_by_group(settings.OIDC_GROUP_ROLES)
    roles = frozenset().union(*(by_group.get(group, frozenset()) for group in groups))
    return Rights(roles - {SUPERUSER}, SUPERUSER in roles) if roles else None


def missing_groups() -> list[str]:
    """Return the groups that OIDC_GROUP_ROLES gives and that do not exist here, by name."""
    given = frozenset().union(*roles_by_group(settings.OIDC_GROUP_ROLES).values()) - {SUPERUSER}
    return sorted(given - existing_groups(given))


def existing_groups(names: Collection[str]) -> frozenset[str]:
    """Return those of the names that groups here have."""
    return frozenset(Group.objects.filter(name__in=names).values_list("name", flat=True))


def roles_by_group(pairs: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the roles that each group of the provider gives, from the pairs of OIDC_GROUP_ROLES."""
    roles: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        group, _, role = pair.rpartition("=")
        roles[unquote(group.strip())].add(unquote(role.strip()))
    return {group: frozenset(some) for group, some in roles.items()}


def _groups_of(claims: Mapping[str, Any]) -> set[str]:
    """Return the groups of the claim; anything else than texts is left out."""
    value: Any = claims.get(settings.OIDC_GROUPS_CLAIM)
    if value is None:
        value = claims
        for name in settings.OIDC_GROUPS_CLAIM.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    some = value if isinstance(value, list) else [value]
    return {one for one in some if isinstance(one, str)}
