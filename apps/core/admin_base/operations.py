"""Operations on the rows of the admin: each asks for confirmation, calls a service and logs the change.

A GET of an operation's address shows the confirmation page; only the POST of that page changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import ngettext

from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError
from apps.core.printable import labelled
from apps.core.stored_messages import HISTORY, Message

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as _Base
else:
    from typing import Generic

    class _Base(Generic[M]):
        """At run time, a mixin of model admins has no base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation on a row.

    ``run`` gets the row and the name of the user, calls a service, and returns a message of ``HISTORY`` for
    the user and the history. A :class:`DomainError` of the service is shown to the user.

    ``refusal`` says why the operation is not possible for the row now; if it is, the text is empty, and there
    is a button.

    The user needs the permission to change the model (or to delete it), and those of ``also_needs``.
    """

    slug: str
    label: str | Promise
    run: Callable[[Any, str], Message]
    confirm_text: Callable[[Any], str | Promise]  # of the confirmation page, for one row
    refusal: Callable[[Any], str] = lambda _row: ""
    is_bulk: bool = False  # also offered for the selected rows of the list
    is_deletion: bool = False
    also_needs: tuple[str, ...] = ()


class OperationsMixin(_Base[M]):
    """Adds buttons for operations to the page of a row, and actions for selected rows to the list."""

    operations: tuple[Operation, ...] = ()
    change_form_outer_before_template = "collector/operations.html"

    def may_operate(self, request: HttpRequest, operation: Operation) -> bool:
        """Whether the user has the permissions that the operation needs.

        It is independent of ``has_change_permission`` and ``has_delete_permission``, which decide on forms.
        """
        verb = "delete" if operation.is_deletion else "change"
        own = f"{self.opts.app_label}.{verb}_{self.opts.model_name}"
        return all(may(request, permission) for permission in (own, *operation.also_needs))

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the operations."""
        address = path(
            "<path:object_id>/operation/<slug:slug>/",
            self.admin_site.admin_view(self.operation_view),
            name=f"{self.opts.app_label}_{self.opts.model_name}_operation",
        )
        return [address, *super().get_urls()]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Add the operations that apply to selected rows of the list."""
        actions: dict[str, Any] = dict(super().get_actions(request))
        for one in self.operations:
            if one.is_bulk and self.may_operate(request, one):
                actions[one.slug] = (_bulk_action(one), one.slug, str(one.label))
        return actions

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the row with a button for each operation that is offered now."""
        context = {"operations": self._offered(request, object_id)} | (extra_context or {})
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def operation_view(self, request: HttpRequest, object_id: str, slug: str) -> HttpResponse:
        """Show the confirmation page or, once it is posted, run the operation and redirect."""
        named = [one for one in self.operations if one.slug == slug]
        if not any(self.may_operate(request, one) for one in named or self.operations):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None or not named:
            raise Http404
        (operation,) = named
        here = reverse(self._url_name("change"), args=[quote(str(row.pk), safe="")])
        if request.method != "POST":
            if refusal := operation.refusal(row):
                self.message_user(request, refusal, messages.WARNING)
                return HttpResponseRedirect(here)
            return self._confirmation(request, operation, [row], {}, back=here)
        try:
            what = self.do_operation(request, operation, row)
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(here)
        self.message_user(request, what, messages.SUCCESS)
        return HttpResponseRedirect(self._list_address() if operation.is_deletion else here)

    def do_operation(self, request: HttpRequest, operation: Operation, row: M) -> str:
        """Run the operation and write the history; returns the message in the language of the user."""
        name = self.history_name(row)
        what = operation.run(row, name_of_user(request))
        flag = DELETION if operation.is_deletion else CHANGE
        note_history(request, [row], what, flag=flag, name=name)
        return HISTORY.translated(what)

    def prepare_rows(self, rows: Sequence[M]) -> None:
        """Look up once what the texts about these rows need."""

    def shown_name(self, row: M) -> str:
        """Return the name of the row in the texts for the user."""
        return str(row)

    def history_name(self, row: M) -> Message | None:
        """Return the name of the row for the history; None if the model itself knows."""
        return None

    def do_on_selected(
        self, request: HttpRequest, operation: Operation, queryset: QuerySet[M]
    ) -> HttpResponse | None:
        """Show the confirmation page or, once it is posted, run the operation on each selected row.

        Messages report how many rows were done and how many were skipped. Returns None when it has run.
        """
        rows = list(queryset[: self.list_per_page])
        self.prepare_rows(rows)
        if request.POST.get("confirmed") != "yes":
            refused = [refusal for row in rows if (refusal := operation.refusal(row))]
            if refused and len(refused) == len(rows):
                self._tell_skipped(request, refused)
                return None
            hidden = {"action": operation.slug, "_selected_action": [str(row.pk) for row in rows]}
            return self._confirmation(request, operation, rows, hidden, back=request.get_full_path())
        refusals = []
        for row in rows:
            try:
                self.do_operation(request, operation, row)
            except DomainError as error:
                refusals.append(error.message)
        done = len(rows) - len(refusals)
        if done:
            text = ngettext("%(label)s: done for %(count)d row.", "%(label)s: done for %(count)d rows.", done)
            words = {"label": operation.label, "count": done}
            self.message_user(request, text % words, messages.SUCCESS)
        if refusals:
            self._tell_skipped(request, refusals)
        return None

    def _tell_skipped(self, request: HttpRequest, refusals: list[str]) -> None:
        text = ngettext(
            "%(count)d row was skipped: %(why)s", "%(count)d rows were skipped: %(why)s", len(refusals)
        )
        words = {"count": len(refusals), "why": refusals[0]}
        self.message_user(request, text % words, messages.WARNING)

    def _offered(self, request: HttpRequest, object_id: str) -> list[dict[str, Any]]:
        allowed = [one for one in self.operations if self.may_operate(request, one)]
        row = self.get_object(request, unquote(object_id)) if allowed else None
        if row is None:
            return []
        return [
            {
                "label": one.label,
                "address": reverse(self._url_name("operation"), args=[quote(str(row.pk), safe=""), one.slug]),
                "is_deletion": one.is_deletion,
            }
            for one in allowed
            if not one.refusal(row)
        ]

    def _confirmation(
        self,
        request: HttpRequest,
        operation: Operation,
        rows: list[M],
        hidden: Mapping[str, Any],
        *,
        back: str,
    ) -> TemplateResponse:
        context = self.admin_site.each_context(request) | {
            "title": operation.label,
            "opts": self.opts,
            "texts": [self._text_for(operation, row) for row in rows],
            "hidden": [(name, value) for name, given in hidden.items() for value in _each(given)],
            "label": operation.label,
            "is_deletion": operation.is_deletion,
            "is_cancelling": operation.slug.startswith("cancel"),  # then "Cancel" is no way back
            "back": back,
        }
        return TemplateResponse(request, "collector/confirmation.html", context)

    def _text_for(self, operation: Operation, row: M) -> str | Promise:
        refusal = operation.refusal(row)
        return labelled(self.shown_name(row), refusal) if refusal else operation.confirm_text(row)

    def _url_name(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _list_address(self) -> str:
        return reverse(self._url_name("changelist"))


def _bulk_action(operation: Operation) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        response: HttpResponse | None = admin.do_on_selected(request, operation, queryset)
        return response

    return act


def _each(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
