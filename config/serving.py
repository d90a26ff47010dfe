"""The module that each process of the web server loads: the WSGI application and its process handling.

It is separate from ``config.wsgi`` because only a worker of ``manage.py serve`` must end with its parent.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from importlib import import_module

from config.web_server import deliver_stop_signals, leave_the_proxy

if multiprocessing.parent_process() is not None:
    deliver_stop_signals(before_stop=leave_the_proxy)
    gc.disable()  # loading creates no garbage, and the collector would take a tenth of the time

from django.apps import apps as django_apps
from django.conf import settings
from django.urls import get_resolver
from django.utils import translation

from apps.launcher.processes import end_with_parent

if multiprocessing.parent_process() is not None:
    end_with_parent()
    # Measured: with 5 ms, the default, the p99 of 64 connections is two to three times as high, because a
    # background thread that has waited for a server gets Python's lock back late. Below 1 ms all are slower.
    sys.setswitchinterval(0.001)

from apps.core import tracing
from apps.core.caching.renewal import Renewal
from apps.core.caching.replay import Replay
from apps.core.storage.mongo import open_client
from apps.core.web.draining import closing_when_draining
from apps.core.web.one_core import on_one_core
from apps.core.web.request_ids import request_id_of
from apps.core.web.short_way import ShortWay
from config.wsgi import application as django_application

import_module(settings.ROOT_URLCONF)  # loaded now, so that the first request need not wait for it
for _language, _name in settings.LANGUAGES:  # and so are the addresses and the texts of each language
    with translation.override(_language):
        _ = get_resolver().reverse_dict
tracing.start()
_renewal = Renewal()
application = closing_when_draining(
    Replay(ShortWay(django_application, renewal=_renewal), renewal=_renewal, request_id_of=request_id_of)
)
if settings.WEB_ONE_CORE and multiprocessing.parent_process() is not None:
    application = on_one_core(application, worker_count=settings.WEB_WORKERS)
if tracing.is_on():
    from apps.core.web.traced import Traced

    application = Traced(application)
gc.freeze()
gc.enable()
open_client()
if multiprocessing.parent_process() is not None and django_apps.is_installed("apps.admin"):
    # Imported here because it needs the settings, and only in the processes that handle requests.
    from apps.admin.alerts.alert_thread import start_watch

    start_watch()

__all__ = ["application"]
