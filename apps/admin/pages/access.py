"""What all pages of the control room share: the check of permissions, and the frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import ValidationError

from apps.core.admin_base.rights import may, may_view
from apps.core.api.exceptions import flatten_messages
from apps.core.api.parsers import refuse_names
from apps.core.errors import DomainError, InvalidInput
from apps.core.periods import reversed_text
from apps.core.printable import labelled, sentences_text

SEE_RECORDS = "mengla.view_record"
SEE_COLLECTIONS = "mengla.view_collection"
CHANGE_COLLECTIONS = "mengla.change_collection"
# The labels of the input fields on these pages.
_LABELS: Mapping[str, str | Promise] = {
    "action": gettext_lazy("Data set"),
    "category": gettext_lazy("Category"),
    "parent": gettext_lazy("Category"),
    "granularity": gettext_lazy("Granularity"),
    "period": gettext_lazy("Period"),
    "from": gettext_lazy("From"),
    "to": gettext_lazy("To"),
    "also": gettext_lazy("Further categories"),
    "brand": gettext_lazy("Brand"),
    "compare": gettext_lazy("Compare with"),
    "measure": gettext_lazy("Measure"),
    "top": gettext_lazy("Rows in the chart"),
    "force": gettext_lazy("Collect again"),
    "level2": gettext_lazy("Subcategories"),
    "limit": gettext_lazy("Records at most"),
    "word": gettext_lazy("Confirmation"),
    "timest": gettext_lazy("Period"),
    "starRange": gettext_lazy("Trend from"),
    "endRange": gettext_lazy("Trend to"),
}
# As whole words: the name of a data set ends with one of them.
_API_NAMES = re.compile(r"( ?)\b(timest|starRange|endRange)\b( ?)", re.ASCII)
_TO = re.compile(r"( ?)\b(to)\b( ?)", re.ASCII)
_HAN = re.compile("[\u4e00-\u9fff]")

View = Callable[..., HttpResponseBase]


def staff_view(*, sees: str = "", changes: str = "") -> Callable[[View], View]:
    """Decorate a view for staff users. ``sees`` and ``changes`` name permissions that it needs.

    A person who is not logged in is redirected to the login page. A script of these pages gets 403 as JSON,
    because it cannot show the login page.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, **parameters: Any) -> HttpResponseBase:
            if not admin.site.has_permission(request):
                if wants_json(request):
                    return json_problem(_("Log in again."), status=403)
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            if (sees and not may_view(request, sees)) or (changes and not may(request, changes)):
                if wants_json(request):
                    return json_problem(_("You have no permission for this."), status=403)
                raise PermissionDenied
            return view(request, **parameters)

        return never_cache(wrapper)

    return decorate


def wants_json(request: HttpRequest) -> bool:
    """Whether the request comes from a script of these pages."""
    return request.headers.get("Accept", "").startswith("application/json")


def json_problem(message: str, *, status: int) -> JsonResponse:
    """Return an error to a script of these pages."""
    return JsonResponse({"error": message}, status=status)


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, title: str, status: int = 200
) -> HttpResponse:
    """Render a page inside the frame of the admin."""
    frame = {**admin.site.each_context(request), "title": title}
    return render(request, f"collector/{template}", {**frame, **context}, status=status)


def check_names(given: QueryDict, *names: str, lists: Collection[str] = ()) -> None:
    """Refuse a name that the page does not read, or one given twice: its default would silently apply.

    ``lists`` are the names that may be given several times.

    :raises InvalidInput: which names the input and suggests the name that was probably meant.
    """
    others = given.copy()
    for name in (*lists, "csrfmiddlewaretoken"):
        others.pop(name, None)
    try:
        refuse_names(others, (*names, *lists))
    except ValidationError as error:
        fields = flatten_messages(error.detail)
        raise InvalidInput(_("The input is not valid."), fields=fields) from error


def _sentence(text: str) -> str:
    return text if text.endswith((".", "。", "?")) else _("%(text)s.") % {"text": text}


def message_of(error: DomainError) -> str:
    """Return the problems of an input as one text, with the labels of the form for the names of the API."""
    if not error.fields:
        return error.message
    texts = [
        labelled(_LABELS.get(name, name), sentences_text(problems)) for name, problems in error.fields.items()
    ]
    # Some problems are no sentences: then a line of its own would be too much, but a full stop is needed.
    return in_words(sentences_text([*(_sentence(one) for one in texts[:-1]), texts[-1]]))


def in_words(text: str) -> str:
    """Return a text with the labels of the form in place of the names of the API.

    Chinese has spaces around the names, and none around the labels.
    """

    def label_of(found: re.Match[str]) -> str:
        label = str(_LABELS[found[2]])
        return label if _HAN.match(label) else f"{found[1]}{label}{found[3]}"

    # "to" is also a word, so it is replaced only where it is the name of the other end of a range.
    reversed_range = reversed_text("to")
    text = text.replace(reversed_range, _TO.sub(label_of, reversed_range))
    return _API_NAMES.sub(label_of, text)
