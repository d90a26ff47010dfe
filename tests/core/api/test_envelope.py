"""The envelope, how each exception becomes one, and the fields every app shares."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pytest
import redis
from bson import ObjectId
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.http import Http404
from django.test import RequestFactory
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from pymongo import errors as pymongo_errors
from rest_framework import exceptions, serializers

from apps.core import errors
from apps.core.api.envelope import dump_json, error_body, error_response, success_body
from apps.core.api.exceptions import code_of_status, envelope_exception_handler
from apps.core.api.parsers import MAX_DEPTH, StrictJSONParser
from apps.core.api.renderers import EnvelopeRenderer
from apps.core.api.serializers import (
    StrictIntegerField,
    UtcDateTimeField,
)
from apps.core.errors import DomainError, ErrorCode, all_error_codes
from apps.mengla.errors import CollectErrorCode
from tests.contract.routes import assert_envelope

INSTANT = datetime(2025, 6, 1, 4, 5, 6, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))


# --- Bodies ---------------------------------------------------------------------------------------


def test_success_and_error_have_their_keys() -> None:
    assert success_body([1]) == {"success": True, "data": [1], "message": "ok"}
    assert success_body(None, "empty: no rows") == {
        "success": True,
        "data": None,
        "message": "empty: no rows",
    }
    assert error_body(ErrorCode.NOT_FOUND, "Gone.") == {
        "success": False,
        "error": "NOT_FOUND",
        "message": "Gone.",
        "detail": None,
    }
    assert error_body(ErrorCode.VALIDATION_ERROR, "Bad.", fields={"a": ["b"]})["fields"] == {"a": ["b"]}


def test_every_code_has_one_status_of_its_own() -> None:
    codes = all_error_codes()
    assert len({code.http_status for code in codes.values()}) == len(codes)
    assert set(ErrorCode) | set(CollectErrorCode) == set(codes.values())
    for name, code in codes.items():
        assert code.name == code.value == name
    for code in ErrorCode:
        assert code_of_status(code.http_status) is code


@pytest.mark.parametrize(
    ("status", "code"), [(402, "VALIDATION_ERROR"), (418, "VALIDATION_ERROR"), (501, "INTERNAL_ERROR")]
)
def test_a_status_without_a_code_has_the_general_one(status: int, code: str) -> None:
    assert code_of_status(status) == code


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (INSTANT, "2025-06-01T04:05:06Z"),
        (INSTANT.replace(tzinfo=None), "2025-06-01T04:05:06Z"),
        (ObjectId("507f1f77bcf86cd799439011"), "507f1f77bcf86cd799439011"),
        (gettext_lazy("Not found."), "Not found."),
        ({"a": {1: (2, {3})}}, {"a": {"1": [2, [3]]}}),
        (float("nan"), None),
        ("类目 \u2028 <script>", "类目 \u2028 <script>"),
        (ErrorCode.CONFLICT, "CONFLICT"),
    ],
)
def test_what_can_be_written(value: Any, written: Any) -> None:
    assert json.loads(dump_json(value)) == written


def test_what_cannot_be_written_is_an_error() -> None:
    for value in (object(), "\ud800", 1 << 70):
        with pytest.raises(TypeError):
            dump_json(value)


def test_the_renderer_wraps_once() -> None:
    renderer = EnvelopeRenderer()
    assert json.loads(renderer.render({"a": 1})) == {"success": True, "data": {"a": 1}, "message": "ok"}
    assert json.loads(renderer.render(None))["data"] is None
    assert json.loads(renderer.render(success_body(1, "hello"))) == {
        "success": True,
        "data": 1,
        "message": "hello",
    }


def test_an_answer_outside_drf() -> None:
    response = error_response(ErrorCode.RATE_LIMITED, "Later.", headers={"Retry-After": "3"})
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "3"
    assert response.headers["Content-Type"] == "application/json"
    assert_envelope(json.loads(response.content), 429, reported="")


# --- Exceptions -----------------------------------------------------------------------------------


def handled(error: Exception) -> Any:
    """Return the answer to an exception, checked for what every error must have."""
    request = RequestFactory().get("/api/x")
    request.request_id = "find-me"  # type: ignore[attr-defined]
    context = {"request": _Wrapped(request)}
    response = envelope_exception_handler(error, context)
    assert_envelope(json.loads(dump_json(response.data)), response.status_code, reported=repr(error))
    return response


class _Wrapped:
    """As much of DRF's request as the handler looks at."""

    path = "/api/x"

    def __init__(self, request: Any) -> None:
        self._request = request


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("Bad."), "VALIDATION_ERROR"),
        (errors.NotFound("None."), "NOT_FOUND"),
        (errors.Conflict("Twice."), "CONFLICT"),
        (errors.PayloadTooLarge("Big."), "PAYLOAD_TOO_LARGE"),
        (errors.PermissionDenied("No."), "PERMISSION_DENIED"),
        (errors.RateLimited("Later.", retry_after_seconds=3), "RATE_LIMITED"),
        (errors.DependencyUnavailable("Down."), "DEPENDENCY_UNAVAILABLE"),
        (exceptions.ValidationError({"a": ["b"]}), "VALIDATION_ERROR"),
        (exceptions.ParseError("Unreadable."), "VALIDATION_ERROR"),
        (exceptions.NotAuthenticated(), "UNAUTHENTICATED"),
        (exceptions.AuthenticationFailed(), "UNAUTHENTICATED"),
        (exceptions.PermissionDenied(), "PERMISSION_DENIED"),
        (exceptions.NotFound(), "NOT_FOUND"),
        (exceptions.MethodNotAllowed("PUT"), "METHOD_NOT_ALLOWED"),
        (exceptions.UnsupportedMediaType("text/plain"), "UNSUPPORTED_MEDIA_TYPE"),
        (exceptions.Throttled(wait=3), "RATE_LIMITED"),
        (exceptions.APIException("Oops."), "INTERNAL_ERROR"),
        (Http404("No Category matches the given query: secret_table"), "NOT_FOUND"),
        (DjangoPermissionDenied("internals of secret_table"), "PERMISSION_DENIED"),
        (RequestDataTooBig("secret_table"), "PAYLOAD_TOO_LARGE"),
        (SuspiciousOperation("secret_table"), "VALIDATION_ERROR"),
        (RuntimeError("secret_table"), "INTERNAL_ERROR"),
        (KeyError("secret_table"), "INTERNAL_ERROR"),
        (DatabaseError("secret_table"), "INTERNAL_ERROR"),
        (pymongo_errors.DuplicateKeyError("secret_table"), "INTERNAL_ERROR"),
        (pymongo_errors.ServerSelectionTimeoutError("secret_table"), "DEPENDENCY_UNAVAILABLE"),
        (pymongo_errors.AutoReconnect("secret_table"), "DEPENDENCY_UNAVAILABLE"),
        (pymongo_errors.NetworkTimeout("secret_table"), "DEPENDENCY_UNAVAILABLE"),
        (pymongo_errors.ExecutionTimeout("secret_table", 50), "DEPENDENCY_UNAVAILABLE"),
        (redis.ConnectionError("secret_table"), "DEPENDENCY_UNAVAILABLE"),
        (redis.TimeoutError("secret_table"), "DEPENDENCY_UNAVAILABLE"),
        (redis.ResponseError("secret_table"), "INTERNAL_ERROR"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_exception_has_its_code(error: Exception, code: str) -> None:
    response = handled(error)
    assert response.data["error"] == code
    assert response.status_code == ErrorCode(code).http_status
    assert "secret_table" not in str(response.data)


def test_an_outage_behind_another_error_is_an_outage() -> None:
    try:
        try:
            raise pymongo_errors.ServerSelectionTimeoutError("no servers")
        except pymongo_errors.PyMongoError as error:
            raise DatabaseError("wrapped") from error
    except DatabaseError as error:
        assert handled(error).data["detail"] == "MongoDB"


def test_headers_survive() -> None:
    assert handled(exceptions.Throttled(wait=3)).headers["Retry-After"] == "3"
    assert handled(errors.RateLimited("Later.", retry_after_seconds=0)).headers["Retry-After"] == "1"
    unauthenticated = exceptions.NotAuthenticated()
    unauthenticated.auth_header = 'Bearer realm="api"'  # type: ignore[attr-defined]
    assert handled(unauthenticated).headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_what_a_service_says_is_said_to_the_client() -> None:
    error = errors.InvalidInput("Bad.", detail="more", fields={"a": ["b"]}, headers={"Retry-After": "1"})
    body = handled(error).data
    assert (body["message"], body["detail"], body["fields"]) == ("Bad.", "more", {"a": ["b"]})
    assert str(error) == "Bad."


@pytest.mark.parametrize(
    ("detail", "fields"),
    [
        ({"a": ["one", "two"]}, {"a": ["one", "two"]}),
        ({"a": "one"}, {"a": ["one"]}),
        (["one"], {"non_field_errors": ["one"]}),
        ("one", {"non_field_errors": ["one"]}),
        ({"a": {"b": {"c": ["one"]}}}, {"a.b.c": ["one"]}),
        ({"a": [{}, {"b": ["one"]}]}, {"a[1].b": ["one"]}),
        ([{"a": ["one"]}], {"[0].a": ["one"]}),
        ({"a": {0: ["one"]}}, {"a.0": ["one"]}),
    ],
)
def test_nested_messages_are_flattened(detail: Any, fields: dict[str, list[str]]) -> None:
    assert handled(exceptions.ValidationError(detail)).data["fields"] == fields


def test_an_error_of_a_new_kind_needs_only_its_code() -> None:
    class Teapot(DomainError):
        code = CollectErrorCode.COLLECT_FAILED

    assert handled(Teapot("Short and stout.")).status_code == 502


# --- Bodies of requests ---------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_parse_error(body: bytes) -> None:
    try:
        StrictJSONParser().parse(BytesIO(body))
    except exceptions.ParseError:
        return
    json.loads(body)


def test_a_body_is_bounded(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert StrictJSONParser().parse(BytesIO(b'"' + b"x" * 8 + b'"')) == "x" * 8
    with pytest.raises(errors.PayloadTooLarge):
        StrictJSONParser().parse(BytesIO(b'"' + b"x" * 9 + b'"'))


@pytest.mark.parametrize(
    ("opening", "closing", "depth"), [(b"[", b"]", 1), (b'{"a":', b"}", 1), (b'[{"a":', b"}]", 2)]
)
def test_a_body_is_nested_so_deeply_and_no_deeper(opening: bytes, closing: bytes, depth: int) -> None:
    levels = MAX_DEPTH // depth
    StrictJSONParser().parse(BytesIO(opening * levels + b"1" + closing * levels))
    with pytest.raises(exceptions.ParseError, match="deep"):
        StrictJSONParser().parse(BytesIO(opening * (levels + 1) + b"1" + closing * (levels + 1)))


# --- Fields ---------------------------------------------------------------------------------------


class _Answer(serializers.Serializer[Any]):
    at = UtcDateTimeField(allow_null=True)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (INSTANT, "2025-06-01T04:05:06Z"),
        (INSTANT.astimezone(SHANGHAI), "2025-06-01T04:05:06Z"),
        (INSTANT.replace(tzinfo=None), "2025-06-01T04:05:06Z"),
        (INSTANT.replace(microsecond=7000), "2025-06-01T04:05:06.007000Z"),
        (None, None),
    ],
)
def test_instants_are_written_in_utc(value: datetime | None, written: str | None) -> None:
    assert _Answer({"at": value}).data == {"at": written}


@pytest.mark.parametrize("text", ["2025-06-01T04:05:06Z", "2025-06-01T12:05:06+08:00", "2025-06-01T04:05:06"])
def test_instants_are_read_as_utc(text: str) -> None:
    assert UtcDateTimeField().to_internal_value(text) == INSTANT


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "soon", 5, None, []]
)
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(exceptions.ValidationError):
        UtcDateTimeField().run_validation(value)


def test_a_whole_number_is_nothing_else() -> None:
    field = StrictIntegerField(min_value=1, max_value=10)
    assert [field.run_validation(seven) for seven in (7, 7.0)] == [7, 7]  # JSON Schema takes both for one
    for bad in (True, 7.5, "7", None, [7], 0, 11, 10**400):
        with pytest.raises(exceptions.ValidationError):
            field.run_validation(bad)
