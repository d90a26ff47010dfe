"""The news this app sends to the apps above it."""

from __future__ import annotations

from django.dispatch import Signal

# Sent before a run's row is deleted, with ``run_id`` and ``is_data_deleted``. A receiver forgets the run and,
# when asked to, removes the records that only this run wrote; it returns how many it removed. It must be safe
# to call again: when it raises, or the process dies, the row stays and the deletion is repeated.
run_deleted = Signal()
