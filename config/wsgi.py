"""The WSGI application, without the process handling of :mod:`config.serving`."""

from __future__ import annotations

import os

import django

from apps.core.web.handler import Handler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django.setup(set_prefix=False)
application = Handler()
