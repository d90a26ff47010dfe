"""The panels in the Django admin: one page with the modules in their order, and a form for each module."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.core.admin_base.history import note_history
from apps.core.admin_base.model_admin import CollectorModelAdmin
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError, InvalidInput
from apps.core.printable import sentences_text
from apps.core.stored_messages import HISTORY, Message
from apps.panels import selectors, services
from apps.panels.choices import DefaultPeriod
from apps.panels.config import PanelConfig, differences
from apps.panels.errors import UnknownModule
from apps.panels.models import PanelModule

_CHANGE = "panels.change_panelmodule"
_MAX_VERSION_DIGITS = 12
_CHANGED = HISTORY.register("panels_changed", gettext_noop("Changed: %(changes)s."))

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[PanelModule]
else:
    _ModelForm = forms.ModelForm


class ShallowDecoder(json.JSONDecoder):
    """Reports JSON that is nested too deeply for Python as invalid JSON, not as a RecursionError."""

    def decode(self, text: str, *arguments: Any) -> Any:
        """Parse the text.

        :raises json.JSONDecodeError: when it is invalid JSON, or nested too deeply.
        """
        try:
            return super().decode(text, *arguments)
        except RecursionError as error:
            raise json.JSONDecodeError("nested too deeply", text, 0) from error


class PanelModuleForm(_ModelForm):
    """The form of one module; the service checks its values."""

    props = forms.JSONField(
        required=False,
        decoder=ShallowDecoder,
        label=_lazy("properties (JSON, used by the client only)"),
        widget=UnfoldAdminTextareaWidget,
    )
    version = forms.IntegerField(label=_lazy("version"), widget=forms.HiddenInput)

    class Meta:
        model = PanelModule
        fields = ("name", "is_enabled", "props")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["version"].initial = selectors.read_config().version

    def clean_props(self) -> Any:
        """Return the properties; an empty text means none."""
        return self.cleaned_data["props"] or {}


@admin.register(PanelModule)
class PanelModuleAdmin(CollectorModelAdmin[PanelModule]):
    """The modules, ordered by dragging; services make all changes, and refuse outdated ones."""

    form = PanelModuleForm
    list_display = ("name",)
    fields = ("id", "name", "is_enabled", "props", "version")
    readonly_fields = ("id",)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> PanelModule | None:
        """Return the module, from the defaults where none is stored; None for an unknown id."""
        try:
            return PanelModule(**asdict(selectors.find_module(object_id)))
        except UnknownModule:
            return None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show all modules and the layout; a POST makes one change."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._change(request)
        config = selectors.read_config()
        context = self.admin_site.each_context(request) | {
            "title": _("Panels"),
            "opts": self.opts,
            "config": config,
            "modules": [
                {"module": one, "address": reverse("admin:panels_panelmodule_change", args=[one.id])}
                for one in config.modules
            ],
            "periods": DefaultPeriod.choices,
            "may_change": may(request, _CHANGE),
        }
        return TemplateResponse(request, "panels/modules.html", context | (extra_context or {}))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show and save one module; an error of the service is shown as a message, and nothing is changed."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            messages.error(request, _text_of(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: PanelModule, form: Any, change: bool) -> None:
        """Change the module through the service."""
        services.change_config(
            changed_by=name_of_user(request),
            modules=[{"id": obj.pk, "name": obj.name, "is_enabled": obj.is_enabled, "props": obj.props}],
            expected_version=form.cleaned_data["version"],
        )

    def log_change(self, request: HttpRequest, obj: PanelModule, message: Any) -> Any:
        """Write the history, unless the form was sent unchanged."""
        return super().log_change(request, obj, message) if message else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the modules are fixed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PanelModule | None = None) -> bool:
        """Return False: a module can only be hidden."""
        return False

    def _change(self, request: HttpRequest) -> HttpResponse:
        if not may(request, _CHANGE):
            raise PermissionDenied
        before = selectors.read_config()
        change = _requested_change(request)
        try:
            after = change(changed_by=name_of_user(request), expected_version=_version_of(request))
        except DomainError as error:
            messages.error(request, _text_of(error))
            return HttpResponseRedirect(reverse("admin:panels_panelmodule_changelist"))
        if after.version == before.version:
            messages.info(request, _("Nothing has changed."))
        else:
            # The history entry belongs to the changed module, or to the first module of a new order.
            known = {module.id: module for module in after.modules}
            row_id = request.POST.get("module", "") or after.modules[0].id
            note_history(
                request, [PanelModule(pk=row_id, name=known[row_id].name)], _history_text(before, after)
            )
            messages.success(request, _("The panels were changed."))
        return HttpResponseRedirect(reverse("admin:panels_panelmodule_changelist"))


def _requested_change(request: HttpRequest) -> Callable[..., PanelConfig]:
    """Return the service call that the form requests.

    :raises BadRequest: when the form requests an unknown change.
    """
    given = request.POST
    module_id = given.get("module", "")
    match given.get("change"):
        case "order":
            return lambda **named: services.reorder_modules(given.get("order", "").split(","), **named)
        case "show" | "hide" as change:
            return lambda **named: services.set_module_enabled(
                module_id, is_enabled=change == "show", **named
            )
        case "up" | "down" as change:
            return lambda **named: services.move_module(
                module_id, position=_position(module_id, 1 if change == "down" else -1), **named
            )
        case "layout":
            layout = {
                "default_period": given.get("default_period", ""),
                "shows_rank_period_selector": given.get("shows_rank_period_selector") == "on",
            }
            return lambda **named: services.change_config(layout=layout, **named)
    raise BadRequest("Unknown change to the panels.")


def _position(module_id: str, step: int) -> int:
    return [module.id for module in selectors.list_modules()].index(
        selectors.find_module(module_id).id
    ) + step


def _version_of(request: HttpRequest) -> int:
    text = request.POST.get("version", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_VERSION_DIGITS):
        raise BadRequest("Invalid version of the panels.")
    return int(text)


def _text_of(error: DomainError) -> str:
    if isinstance(error, InvalidInput) and error.fields:
        return sentences_text(message for texts in error.fields.values() for message in texts)
    return error.message


def _history_text(before: PanelConfig, after: PanelConfig) -> Message:
    return _CHANGED(changes=", ".join(differences(before, after)) or "-")
