"""Groups documents by query and decides which one of each group is kept.

It is the first one with figures, in the order of the ranking. Figures are recognised in the same way as in an
import: an empty list, an error code or an error page of a proxy has none, however it is wrapped. Only a few
documents at a time are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection

from apps.mengla.choices import Action
from apps.mengla.former.duplicate_ranking import order_stages
from apps.mengla.former.reference_document import NothingToImport, Unreadable, read_figures

_FETCHED = 10
Document = dict[str, Any]


def rank(
    documents: MongoCollection[Document],
    ids: Sequence[Any],
    *,
    is_ours: bool,
    session: ClientSession | None = None,
) -> list[list[Any]]:
    """Return the ids of each group of two or more documents, the document to keep first."""
    groups: dict[bytes, list[Any]] = {}
    with documents.aggregate(order_stages(ids, is_ours=is_ours), session=session) as ordered:
        for one in ordered:
            groups.setdefault(bson.encode(one["key"]), []).append(one["_id"])
    several = [group for group in groups.values() if len(group) > 1]
    index, undecided = 0, list(several)
    while undecided:
        full = _with_figures(documents, [group[index] for group in undecided], session)
        for group in undecided:
            if identity_of(group[index]) in full:
                group.insert(0, group.pop(index))
        # A group without any figures keeps its first document.
        undecided = [
            group for group in undecided if identity_of(group[0]) not in full and len(group) > index + 1
        ]
        index += 1
    return several


def has_figures(document: Mapping[str, Any]) -> bool:
    """Whether the document holds figures of its action; a document marked as empty does not."""
    if document.get("is_empty") is True:
        return False
    try:
        return not read_figures(Action(document["action"]), document).is_empty
    except (NothingToImport, Unreadable):
        return False


def identity_of(document_id: Any) -> bytes:
    """Return the id as BSON: a hashable form of an id of any type."""
    return bson.encode({"": document_id})


def _with_figures(
    documents: MongoCollection[Document], ids: Sequence[Any], session: ClientSession | None
) -> set[bytes]:
    with documents.find({"_id": {"$in": list(ids)}}, batch_size=_FETCHED, session=session) as found:
        return {identity_of(one["_id"]) for one in found if has_figures(one)}
