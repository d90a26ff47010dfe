"""The translations' workshop: finds the texts of the sources, keeps the catalogue, finds unmarked text.

``bin/messages`` runs it; ``tests/contract/test_translations.py`` holds the project to it. It needs Babel and
no gettext of the system.
"""
