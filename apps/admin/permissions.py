"""The rights that the changes of operators need; all addresses of such a change share them."""

from __future__ import annotations

from apps.auth.permissions import Needs

TO_CRAWL = Needs("sync_tasks.change_synctask")
TO_BACKFILL = Needs("mengla.change_collection")
TO_PAUSE = Needs("django_q.change_schedule")
TO_WARM_UP = Needs("sync_tasks.change_synctask")
TO_SILENCE = Needs("collector_admin.change_alert")
TO_CLEAR_CACHES = Needs("collector_admin.clear_caches")
TO_RESET_BREAKER = Needs("collector_admin.reset_breaker")
TO_CANCEL_ALL = Needs("collector_admin.cancel_all")
TO_PURGE = Needs("collector_admin.purge_data")
TO_REMOVE_DUPLICATES = Needs(apply="collector_admin.purge_data")
