"""The texts of the admin's scripts that Django has not translated, in the language of the reader."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext, gettext_noop
from django.views.i18n import JavaScriptCatalog

_TEXTS = (
    gettext_noop('Choose %s by selecting them and then select the "Choose" arrow button.'),
    gettext_noop('Remove %s by selecting them and then select the "Remove" arrow button.'),
    gettext_noop("Choose all %s"),
    gettext_noop("Choose selected %s"),
    gettext_noop("Remove all %s"),
    gettext_noop("Remove selected %s"),
    gettext_noop("(click to clear)"),
)


class ScriptTexts(JavaScriptCatalog):
    """Django's catalogue for scripts, with our translations where it has none."""

    packages = ["django.contrib.admin"]

    def get_catalog(self) -> dict[str, Any]:
        """Return every text with its translation; Django's own takes precedence."""
        return {text: gettext(text) for text in _TEXTS} | super().get_catalog()
