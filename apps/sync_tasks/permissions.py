"""The rights that changes of sync tasks need; all addresses of such a change share them."""

from __future__ import annotations

from apps.auth.permissions import Needs

TO_CONTROL = Needs("sync_tasks.change_synctask")
TO_DELETE = Needs("sync_tasks.delete_synctask", delete_data="mengla.delete_record")
