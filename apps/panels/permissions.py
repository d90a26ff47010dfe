"""The rights that changes of panels and their tasks need; all addresses of such a change share them."""

from __future__ import annotations

from apps.auth.permissions import Needs

TO_CHANGE_CONFIG = Needs("panels.change_panelmodule")
TO_RUN_TASKS = Needs("sync_tasks.change_synctask")
TO_FILL = Needs("mengla.change_collection")
