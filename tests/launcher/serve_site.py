"""A tiny site for the tests of ``manage.py serve``: the product's settings with addresses of its own."""

from __future__ import annotations

import os
import threading
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.settings import *  # noqa: F403

ROOT_URLCONF = __name__
INSTALLED_APPS = ["apps.core", "apps.launcher"]
MIDDLEWARE: list[str] = []
CSRF_FAILURE_VIEW = "django.views.csrf.csrf_failure"  # the product's needs the apps that are left out


def about(request: HttpRequest) -> HttpResponse:
    """Which process answers, and the thread count it knows of."""
    return HttpResponse(f"{os.getpid()} {settings.WEB_THREADS}")


def slow(request: HttpRequest, milliseconds: int) -> HttpResponse:
    """Tell the log that the request has begun, and answer later."""
    os.write(1, f"slow request in {threading.get_ident()}\n".encode())
    time.sleep(milliseconds / 1000)
    return HttpResponse("done")


def ready(request: HttpRequest) -> HttpResponse:
    """The probe of the product, whose module needs all settings."""
    from apps.core.web import views

    return views.ready(request)


def together(request: HttpRequest) -> HttpResponse:
    """Answer when as many requests as there are threads are here at the same moment."""
    _all_threads.wait(timeout=20)
    return HttpResponse("together")


_all_threads = threading.Barrier(settings.WEB_THREADS)

urlpatterns = [
    path("about", about),
    path("ready", ready),
    path("slow/<int:milliseconds>", slow),
    path("together", together),
]
