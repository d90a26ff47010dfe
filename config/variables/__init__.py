"""Declares every environment variable of the product: parser, default, example and help text.

``docs/configuration.md`` and ``.env.example`` are tested against them. :mod:`config.env` reads the values.
"""

from __future__ import annotations

from config.variables.declaration import Variable, text_of
from config.variables.environment import DEVELOPMENT_KEY, Environment, variables

__all__ = ["DEVELOPMENT_KEY", "Environment", "Variable", "text_of", "variables"]
