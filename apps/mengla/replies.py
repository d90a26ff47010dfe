"""What the addresses of figures and collections answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlencode

import orjson
from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from apps.core.api.cached_response import entry_reply
from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json, success_body
from apps.core.api.parsers import refuse_parameters
from apps.core.api.replies import Caller, Environ, Reply
from apps.core.caching.replay import allow_replay
from apps.core.errors import InvalidInput, NotFound
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.dispatch.waiting import waiting_of
from apps.mengla.errors import UnknownCategory
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.parameters import build_query
from apps.mengla.reading.read import Hit, Miss, read
from apps.mengla.serializers import CollectionSerializer
from apps.mengla.store import outcomes, selectors
from apps.mengla.store.figures import FRESHNESS_HEADER, cache_field
from apps.sync_tasks.responses import waiting_json
from apps.sync_tasks.work import Waiting

SOURCE_HEADER = "X-MengLa-Source"
_RETRY_AFTER_SECONDS = 2
_MAX_RETRY_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Question:
    """What a request for figures asks for; ``query_arguments`` are those of :class:`DataQuery`."""

    query_arguments: tuple[Any, ...]
    wait_seconds: int
    is_refresh: bool


@dataclass(frozen=True, slots=True)
class FiguresAddress:
    """An address of figures: how it reads its parameters, and the action that it names, if any."""

    serializer_class: type[Any]
    action: Action | None = None

    def question_of(self, parameters: Mapping[str, Any]) -> Question:
        """Return what the parameters ask for.

        :raises rest_framework.exceptions.ValidationError: when they are not valid.
        :raises apps.core.errors.InvalidInput: when they contradict each other, or a period has not begun.
        """
        serializer = self.serializer_class(data=parameters)
        try:
            serializer.is_valid(raise_exception=True)
        except ValidationError as error:
            raise ValidationError(self._all_faults(parameters, error.detail)) from error
        data = serializer.validated_data
        query = build_query(**serializer.query_arguments(action=self.action))
        # Not the query itself: once used, it holds all periods of its range.
        arguments = (query.action, query.cat_id, query.start, query.end, query.product_id, query.extra)
        return Question(arguments, wait_seconds=data["wait"], is_refresh=data["refresh"])

    def _all_faults(self, parameters: Mapping[str, Any], found: Any) -> Any:
        """Return what is wrong with the parameters, also with those that are valid in themselves."""
        if not (isinstance(found, Mapping) and isinstance(parameters, Mapping)):
            return found  # a body that is no object
        rest = QueryDict(mutable=True) if isinstance(parameters, QueryDict) else {}
        rest.update({name: value for name, value in parameters.items() if name not in found})
        serializer = self.serializer_class(data=rest)
        try:
            if serializer.is_valid():
                build_query(**serializer.query_arguments(action=self.action))
        except InvalidInput as error:
            return {**(error.fields or {}), **found}
        return found

    def reply(self, environ: Environ, question: Question, caller: Caller) -> Reply:
        """Read the figures; raises as :func:`apps.mengla.reading.read.read` does."""
        query = DataQuery(*question.query_arguments)
        wait_seconds = question.wait_seconds
        try:
            result = read(
                query,
                requested_by=caller.name,
                caller=caller.key,
                wait_seconds=wait_seconds,
                is_refresh=question.is_refresh,
            )
        except UnknownCategory as error:
            raise UnknownCategory(self.serializer_class.cat_field) from error
        if isinstance(result, Miss):
            return _miss_reply(result)
        if result.source == "l1" and result.is_fresh:
            count = outcomes.counter_of_hits(
                query.action, result.source, result.result, is_timed=wait_seconds == 0
            )
            allow_replay(environ, query.cache_group, cache_field(query), result.entry, count=count)
        return _hit_reply(environ, result)


@dataclass(frozen=True, slots=True)
class CollectionAddress:
    """The address of one collection; it has no parameters."""

    collection_id: str

    def question_of(self, parameters: Mapping[str, Any]) -> None:
        """Refuse all parameters.

        :raises rest_framework.exceptions.ValidationError: when there is one.
        """
        refuse_parameters(parameters)

    def reply(self, environ: Environ, question: None, caller: Caller) -> Reply:
        """Read the state of the collection.

        :raises apps.core.errors.NotFound: when there is no such collection.
        """
        collection = selectors.find_collection(self.collection_id)
        if collection is None:
            raise NotFound(_("There is no such collection."))
        position = selectors.queue_position(collection)
        facts = {
            "position": position,
            "waiting": waiting_json(waiting_of(collection, position=position)),
            "result": _result_address(collection),
        }
        data = CollectionSerializer(collection | facts).data
        return Reply(
            status=200, headers={"Content-Type": JSON_CONTENT_TYPE}, body=dump_json(success_body(data))
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a collection stands: how many are ahead, why it waits, when to ask again; a text for people."""

    position: int
    waiting: Waiting | None
    retry_after_seconds: int
    message: str


def standing_of(collection: Mapping[str, Any]) -> Standing:
    """Return where a collection that has not ended stands."""
    position = selectors.queue_position(collection)
    waiting = waiting_of(collection, position=position)
    retry_after_seconds = min(_RETRY_AFTER_SECONDS * (1 + position), _MAX_RETRY_AFTER_SECONDS)
    if waiting is not None:
        retry_after_seconds = max(retry_after_seconds, ceil(waiting.retry_after_seconds))
    message = waiting.message if waiting else _("The figures are being collected.")
    return Standing(position, waiting, retry_after_seconds, message)


def hit_headers(hit: Hit) -> dict[str, str]:
    """Return the headers that say where the figures come from, and how fresh they are."""
    headers = {SOURCE_HEADER: hit.source, **hit.entry.headers}
    headers.setdefault(FRESHNESS_HEADER, "fresh" if hit.is_fresh else "stale")
    return headers


def _hit_reply(environ: Environ, hit: Hit) -> Reply:
    return entry_reply(environ, hit.entry, headers=hit_headers(hit))


def _miss_reply(miss: Miss) -> Reply:
    collection = miss.collection
    collection_id = str(collection["_id"])
    standing = standing_of(collection)
    body = {
        "collecting": True,
        "collection": {
            "id": collection_id,
            "status": collection["status"],
            "priority": collection["priority"],
            "position": standing.position,
            "waiting": waiting_json(standing.waiting),
            "created_at": collection["created_at"],
        },
    }
    return Reply(
        status=202,
        headers={
            "Content-Type": JSON_CONTENT_TYPE,
            "Location": f"/api/mengla/collections/{collection_id}",
            "Retry-After": str(standing.retry_after_seconds),
        },
        body=dump_json(success_body(body, standing.message)),
        facts={"collection_id": collection_id},
    )


def _result_address(collection: dict[str, Any]) -> str | None:
    """Return the address of the figures that a collection has stored, None when it has not."""
    if collection["status"] not in (CollectionStatus.SUCCEEDED, CollectionStatus.EMPTY):
        return None
    parameters = {
        "action": collection["action"],
        "primaryCatId": collection["cat_id"],
        "dateType": collection["granularity"],
        "timest": collection["end_key"],
    }
    if collection["action"] == Action.INDUSTRY_TREND:
        parameters |= {"starRange": collection["start_key"], "endRange": collection["end_key"]}
    if collection["product_id"]:
        parameters["product_id"] = collection["product_id"]
    if collection["extra"]:
        parameters["extra"] = orjson.dumps(collection["extra"]).decode()
    return f"/api/mengla/?{urlencode(parameters)}"
