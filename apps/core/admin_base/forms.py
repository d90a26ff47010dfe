"""Forms of our own pages, in the style of the theme."""

from __future__ import annotations

from typing import TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core.printable import has_unprintable

F = TypeVar("F", bound=forms.BaseForm)


def check_printable(text: str) -> None:
    """Refuse a text that holds what :mod:`apps.core.printable` does not allow."""
    if has_unprintable(text):
        raise ValidationError(_("This text has characters that are not allowed."))


def themed(form: F) -> F:
    """Give every field of the form the style that the theme gives to model fields, and return the form."""
    from unfold.widgets import CHECKBOX_CLASSES, INPUT_CLASSES, SELECT_CLASSES

    for field in form.fields.values():
        classes = INPUT_CLASSES
        if isinstance(field.widget, forms.CheckboxInput):
            classes = CHECKBOX_CLASSES
        elif isinstance(field.widget, forms.Select):
            classes = SELECT_CLASSES
        field.widget.attrs["class"] = " ".join(classes)
    return form
