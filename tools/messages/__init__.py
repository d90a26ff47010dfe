"""The translations: finds marked texts in the sources, maintains the catalogue, finds unmarked texts.

``bin/messages`` runs it, and ``tests/contract/test_translations.py`` checks the project with it. It needs
Babel, but not the gettext programs.
"""
