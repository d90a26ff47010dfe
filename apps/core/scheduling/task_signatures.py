"""Lets django-q2 read what the keys of SECRET_KEY_FALLBACKS have signed: tasks and the notes of clusters.

django-q2 signs its messages with SECRET_KEY, and its copy of Django's code verifies them with that key alone.
So a worker that has a new key would drop the tasks of a web process that does not have it yet.
"""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.utils.encoding import force_str
from django_q.conf import Conf
from django_q.signing import PickleSerializer, SignedPackage


def accept_previous_keys() -> None:
    """Let this process accept messages that any of the keys has signed; it signs with SECRET_KEY."""
    SignedPackage.loads = staticmethod(_loads)


def _loads(packed: str | bytes) -> Any:
    """Return the content of a message.

    :raises signing.BadSignature: when none of the keys has signed it.
    """
    return signing.loads(force_str(packed), salt=Conf.PREFIX, serializer=PickleSerializer)
