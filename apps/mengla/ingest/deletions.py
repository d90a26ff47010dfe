"""What every deletion of figures ends with: that no reader gets from a cache what is stored no more."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import DependencyUnavailable


def require_caches_notified(is_notified: bool) -> None:
    """Refuse to call a deletion done while the caches may go on serving what was deleted.

    :raises DependencyUnavailable: when Redis did not take the news; repeating the deletion repeats them.
    """
    if not is_notified:
        raise DependencyUnavailable(
            _("Redis did not answer, so the caches may still hold what was deleted. Repeat the deletion."),
            detail="Redis",
        )
