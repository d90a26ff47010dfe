"""A lease on a journal: one process at a time works on it; soon after it was killed, another one goes on."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from apps.core.errors import Conflict
from apps.core.storage.mongo import named_collection, utc_now
from apps.mengla.former.former_database import JOURNALS

_LEASE = timedelta(seconds=12)
_RENEWAL_SECONDS = 3.0
_LOOK_SECONDS = 0.5
Document = dict[str, Any]


class JournalLease:
    """The right to write one journal; a thread renews it until :meth:`release`."""

    def __init__(self, journal_id: str, *, held_message: str) -> None:
        self._id = journal_id
        self._held_message = held_message
        self._token = secrets.token_hex(16)
        self._documents = named_collection(JOURNALS)
        self._is_released = threading.Event()

    def acquire(self, *, first: Document) -> Document:
        """Return the journal; it is stored with the fields of ``first`` if there is none.

        Waits for the end of the lease if its holder was killed.

        :raises Conflict: when its holder is at work.
        """
        held_until = None
        while (journal := self._try(first)) is None:
            lease = self._documents.find_one({"_id": self._id}, {"lease_until": 1}) or {}
            if held_until is not None and lease.get("lease_until") not in (None, held_until):
                raise Conflict(self._held_message)  # it was renewed meanwhile
            held_until = lease.get("lease_until")
            time.sleep(_LOOK_SECONDS)
        threading.Thread(target=self._renew, name="import-lease", daemon=True).start()
        return journal

    def update(self, changes: Document) -> None:
        """Change the journal.

        :raises Conflict: when the lease has expired, and another process has acquired it.
        """
        owned = {"_id": self._id, "token": self._token}
        if not self._documents.update_one(owned, changes).matched_count:
            raise Conflict(self._held_message)

    def release(self) -> None:
        """End the lease."""
        self._is_released.set()
        self._documents.update_one({"_id": self._id, "token": self._token}, {"$set": {"lease_until": None}})

    def _try(self, first: Document) -> Document | None:
        now = utc_now()
        try:
            journal: Document | None = self._documents.find_one_and_update(
                {"_id": self._id, "$or": [{"lease_until": None}, {"lease_until": {"$lt": now}}]},
                {
                    "$set": {"token": self._token, "lease_until": now + _LEASE},
                    "$setOnInsert": {**first, "started_at": now},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return None
        return journal

    def _renew(self) -> None:
        while not self._is_released.wait(_RENEWAL_SECONDS):
            with suppress(PyMongoError, Conflict):  # the next change of the journal notices a lost lease
                self.update({"$set": {"lease_until": utc_now() + _LEASE}})


def try_to_write() -> None:
    """Do a write that changes nothing, to learn whether this user of MongoDB may write.

    :raises pymongo.errors.PyMongoError: when it may not.
    """
    named_collection(JOURNALS).update_one({"_id": "nothing has this id"}, {"$set": {"lease_until": None}})
