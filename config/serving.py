"""What each process of the web server loads: the WSGI application, with the signals of a child set right.

Kept apart from ``config.wsgi`` because only a worker of ``manage.py serve`` may be tied to its parent.
"""

from __future__ import annotations

import multiprocessing
import signal

if multiprocessing.parent_process() is not None:
    # Until granian sets its own handlers, a worker has the ones of its parent, which swallow the signal:
    # a stop during the imports below would be lost, and the parent would wait until it may kill.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from django.apps import apps as django_apps

from apps.core.processes import end_with_parent

if multiprocessing.parent_process() is not None:
    end_with_parent()

from apps.core.mongo import open_client
from config.wsgi import application

open_client()
if multiprocessing.parent_process() is not None and django_apps.is_installed("apps.admin"):
    # After the settings are read, and only in the processes that answer requests.
    from apps.admin.watch import start_watch

    start_watch()

__all__ = ["application"]
