"""The signals that the scheduler sends to the apps above it."""

from __future__ import annotations

from django.dispatch import Signal

# Sent every few seconds by the first process of a worker cluster, while a worker of it is idle. A receiver
# sends the tasks whose wake-ups were lost. It must return soon, and tolerate an outage of MongoDB or Redis.
worker_idle = Signal()
