"""The last step of every deletion of records: the caches must not serve deleted figures."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import DependencyUnavailable


def require_caches_notified(is_notified: bool) -> None:
    """Fail the deletion unless the caches were notified of it.

    :raises DependencyUnavailable: when they were not, because Redis did not respond. Repeating the deletion
        notifies them again.
    """
    if not is_notified:
        raise DependencyUnavailable(
            _("Redis did not respond, so the caches may still serve deleted data. Repeat the deletion."),
            detail="Redis",
        )
