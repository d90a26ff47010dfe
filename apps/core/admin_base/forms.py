"""Forms of our own pages, in the style of the theme."""

from __future__ import annotations

from typing import TypeVar

from django import forms

F = TypeVar("F", bound=forms.BaseForm)


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
