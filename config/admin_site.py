"""The look of the admin: title, icon and sidebar of the theme (django-unfold)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Entry(NamedTuple):
    """A link of the sidebar, shown to users with the permission if its page exists."""

    title: str | Promise
    icon: str  # a name in the Material Symbols font of the theme
    url_name: str
    permission: str | None = None  # None: every staff user


class Section(NamedTuple):
    """A titled group of links."""

    title: str | Promise
    entries: tuple[Entry, ...]


SECTIONS = (
    Section(
        _("Figures"),
        (
            Entry(_("Dashboard"), "dashboard", "admin:index"),
            Entry(_("Data"), "table_chart", "admin:collector_data", "mengla.view_record"),
            Entry(_("Coverage"), "grid_on", "admin:collector_coverage", "mengla.view_record"),
            Entry(_("Records"), "database", "admin:mengla_record_changelist", "mengla.view_record"),
            Entry(
                _("Categories"),
                "account_tree",
                "admin:categories_category_changelist",
                "categories.view_category",
            ),
        ),
    ),
    Section(
        _("Operations"),
        (
            Entry(_("Operations"), "tune", "admin:collector_operations", "mengla.view_collection"),
            Entry(
                _("Sync tasks"), "sync", "admin:sync_tasks_synctask_changelist", "sync_tasks.view_synctask"
            ),
            Entry(
                _("Collections"),
                "cloud_download",
                "admin:mengla_collection_changelist",
                "mengla.view_collection",
            ),
            Entry(
                _("Panels"), "view_quilt", "admin:panels_panelmodule_changelist", "panels.view_panelmodule"
            ),
            Entry(_("Schedules"), "schedule", "admin:django_q_schedule_changelist", "django_q.view_schedule"),
            Entry(_("Alerts"), "notifications", "admin:collector_alerts", "collector_admin.view_alert"),
            Entry(
                _("Silences"),
                "notifications_off",
                "admin:collector_admin_alertsilence_changelist",
                "collector_admin.view_alertsilence",
            ),
            Entry(
                _("Notices"),
                "outgoing_mail",
                "admin:collector_admin_alertnotice_changelist",
                "collector_admin.view_alertnotice",
            ),
            Entry(
                _("Alert history"),
                "manage_history",
                "admin:collector_admin_alertevent_changelist",
                "collector_admin.view_alertevent",
            ),
        ),
    ),
    Section(
        _("Diagnostics"),
        (
            Entry(
                _("Workers and messages"),
                "monitor_heart",
                "admin:collector_diagnostics",
                "mengla.view_collection",
            ),
            Entry(
                _("Messages that succeeded"),
                "task_alt",
                "admin:django_q_success_changelist",
                "django_q.view_success",
            ),
            Entry(
                _("Messages that failed"),
                "error",
                "admin:django_q_failure_changelist",
                "django_q.view_failure",
            ),
        ),
    ),
    Section(
        _("Access"),
        (
            Entry(
                _("API tokens"),
                "key",
                "admin:collector_auth_apitoken_changelist",
                "collector_auth.view_apitoken",
            ),
            Entry(_("Users"), "person", "admin:auth_user_changelist", "auth.view_user"),
            Entry(_("Groups"), "group", "admin:auth_group_changelist", "auth.view_group"),
            Entry(_("History"), "history", "admin:admin_logentry_changelist", "admin.view_logentry"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar of this user: the links to existing pages that the user may view."""
    sections = []
    for section in SECTIONS:
        items = [item for entry in section.entries if (item := _link(request, entry)) is not None]
        if items:
            sections.append({"title": section.title, "separator": True, "items": items})
    return sections


def icon_address(_request: HttpRequest) -> str:
    """Return the address of the product's icon."""
    return static("collector/icon.svg")


def no_colors(_request: HttpRequest) -> dict[str, Any]:
    """Return no colours, so that no page has a style element with them; ``palette.css`` has them."""
    return {}


def _link(request: HttpRequest, entry: Entry) -> dict[str, Any] | None:
    from apps.core.admin_base.rights import may_view  # late import: settings load before models

    if entry.permission is not None and not may_view(request, entry.permission):
        return None
    try:
        address = reverse(entry.url_name)
    except NoReverseMatch:
        return None
    return {"title": entry.title, "icon": entry.icon, "link": address}


def _static(name: str) -> Callable[[HttpRequest], str]:
    return lambda _request: static(f"collector/{name}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("MengLa Collector"),
    "SITE_HEADER": _("MengLa Collector"),
    "SITE_SUBHEADER": _("Ozon market figures"),
    "SITE_URL": None,
    "SITE_ICON": icon_address,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": icon_address}],
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "COLORS": no_colors,
    "STYLES": [_static("palette.css"), _static("admin.css"), _static("access.css")],
    "SCRIPTS": [_static("expressions.js"), _static("access.js")],
    "LOGIN": {"form": "apps.auth.entry.login_form.LoginForm"},
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": navigation},
}
