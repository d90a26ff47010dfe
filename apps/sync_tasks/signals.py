"""The signals that this app sends to the apps above it."""

from __future__ import annotations

from django.dispatch import Signal

# Sent before a run's row is deleted, with ``run_id`` and ``is_data_deleted``. A receiver removes its
# references to the run and, with ``is_data_deleted``, the records that only this run wrote; it returns how
# many records it removed. The call must be repeatable: when it raises, or the process dies, the row stays
# and the deletion is repeated.
run_deleted = Signal()
