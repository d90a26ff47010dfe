"""Which documents of a question stay: the first that has figures, in the order of the ranking.

Whether a document has figures is told by looking at them, in the same way as an import does: an empty list,
an error code or a page of a proxy is none, however it is wrapped. Few documents at a time are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection

from apps.mengla.choices import Action
from apps.mengla.former.duplicate_ranking import order_stages
from apps.mengla.former.reference_document import NothingInIt, Unreadable, read_figures

_FETCHED = 10
Document = dict[str, Any]


def rank(
    documents: MongoCollection[Document],
    ids: Sequence[Any],
    *,
    is_ours: bool,
    session: ClientSession | None = None,
) -> list[list[Any]]:
    """Return the ids by question, as far as there are several of one, the one that stays first."""
    groups: dict[bytes, list[Any]] = {}
    with documents.aggregate(order_stages(ids, is_ours=is_ours), session=session) as ordered:
        for one in ordered:
            groups.setdefault(bson.encode(one["key"]), []).append(one["_id"])
    contests = [group for group in groups.values() if len(group) > 1]
    turn, undecided = 0, list(contests)
    while undecided:
        full = _with_figures(documents, [group[turn] for group in undecided], session)
        for group in undecided:
            if identity_of(group[turn]) in full:
                group.insert(0, group.pop(turn))
        # Where none has figures, the first stays.
        undecided = [
            group for group in undecided if identity_of(group[0]) not in full and len(group) > turn + 1
        ]
        turn += 1
    return contests


def has_figures(document: Mapping[str, Any]) -> bool:
    """Whether the document holds figures of its action; one that says of itself that it is empty does not."""
    if document.get("is_empty") is True:
        return False
    try:
        return not read_figures(Action(document["action"]), document).is_empty
    except (NothingInIt, Unreadable):
        return False


def identity_of(document_id: Any) -> bytes:
    """Return what tells ids of any type apart, also of those that cannot be hashed."""
    return bson.encode({"": document_id})


def _with_figures(
    documents: MongoCollection[Document], ids: Sequence[Any], session: ClientSession | None
) -> set[bytes]:
    with documents.find({"_id": {"$in": list(ids)}}, batch_size=_FETCHED, session=session) as found:
        return {identity_of(one["_id"]) for one in found if has_figures(one)}
