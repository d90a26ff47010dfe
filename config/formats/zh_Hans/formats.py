"""The common style, for Chinese pages."""

from config.formats.style import *  # noqa: F403 - every name is one that Django looks up
