"""What a request that starts a run says."""

from __future__ import annotations

from rest_framework.request import Request

from apps.mengla.runs.collect import Order
from apps.sync_tasks.choices import Trigger


def order_of(request: Request) -> Order:
    """Return who orders a run by this request."""
    return Order(request.user.get_username(), Trigger.API)
