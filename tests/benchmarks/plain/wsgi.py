"""The application that granian serves."""

from __future__ import annotations

import multiprocessing

from config.web_server import deliver_stop_signals

if multiprocessing.parent_process() is not None:
    deliver_stop_signals()

from apps.launcher.processes import end_with_parent

if multiprocessing.parent_process() is not None:
    end_with_parent()

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
