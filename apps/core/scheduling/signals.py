"""The signals that the scheduler sends to the apps above it."""

from __future__ import annotations

from django.dispatch import Signal

# The supervisor of a worker cluster sends it every few seconds while one of its workers is idle. A receiver
# repeats wake-ups that were lost. It must return soon, and tolerate an outage of MongoDB or Redis.
worker_idle = Signal()
