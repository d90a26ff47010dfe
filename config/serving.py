"""What each process of the web server loads: the WSGI application, with the signals of a child set right.

Kept apart from ``config.wsgi`` because only a worker of ``manage.py serve`` may be tied to its parent.
"""

from __future__ import annotations

import gc
import multiprocessing
from importlib import import_module

from config.web_server import hear_stops

if multiprocessing.parent_process() is not None:
    hear_stops()
    gc.disable()  # nothing of what is loaded is garbage, and to look for some takes a tenth of the time

from django.apps import apps as django_apps
from django.conf import settings

from apps.launcher.processes import end_with_parent

if multiprocessing.parent_process() is not None:
    end_with_parent()

from apps.core.storage.mongo import open_client
from config.wsgi import application

import_module(settings.ROOT_URLCONF)  # all that the first request would wait for, before there is one
gc.freeze()
gc.enable()
open_client()
if multiprocessing.parent_process() is not None and django_apps.is_installed("apps.admin"):
    # After the settings are read, and only in the processes that answer requests.
    from apps.admin.alerts.alert_thread import start_watch

    start_watch()

__all__ = ["application"]
