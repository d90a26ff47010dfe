"""Fields that requests share give what fields of a request's own give: the values, and every message."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers

from apps.core import process_state
from apps.mengla.figures_api.requests import (
    FiguresBodySerializer,
    FiguresParametersSerializer,
    FiguresQuerySerializer,
)

NAMES = [
    *("primaryCatId", "catId", "action", "timest", "starRange", "endRange", "dateType", "product_id"),
    *("wait", "refresh", "extra", "unknown"),
]
TEXTS = st.sampled_from(["", " ", "hot", "2025-06", "month", "all", "x" * 64, "x" * 65, "1" * 2000]) | (
    st.sampled_from(["true", "no", "0", "31", "-1", "1.5", "null", "ſ", "萌", " a ", "\ud800", "\x00"])
    | st.sampled_from(['{"a": 1}', "[1]", "{"])
)
VALUES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.just({"a": [1]}) | st.just([1])
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES) | st.sampled_from([None, [], "text", 1])


def query_dict(pairs: list[tuple[str, str]]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, value in pairs:
        query.appendlist(name, value)
    return query


def outcome(serializer_class: type[serializers.Serializer[Any]], data: Any, *, is_reused: bool) -> Any:
    """The validated data with the types of its values, or the errors as they are sent."""
    serializer = serializer_class(data=data)
    try:
        if is_reused:
            found = serializer.run_validation(data)
        else:
            found = serializers.Serializer.run_validation(serializer, data)
    except serializers.ValidationError as error:
        return repr(error.detail)
    return repr(found), {name: type(value) for name, value in found.items()}


def assert_same(serializer_class: type[serializers.Serializer[Any]], data: Any) -> None:
    for language in ("en", "zh-hans", "en"):
        with translation.override(language):
            reused = outcome(serializer_class, data, is_reused=True)
            assert reused == outcome(serializer_class, data, is_reused=False)


@given(st.lists(st.tuples(st.sampled_from(NAMES), TEXTS), max_size=8))
def test_of_query_strings(pairs: list[tuple[str, str]]) -> None:
    assert_same(FiguresParametersSerializer, query_dict(pairs))


@pytest.mark.parametrize("serializer_class", [FiguresBodySerializer, FiguresQuerySerializer])
@given(BODIES)
def test_of_bodies(serializer_class: type[serializers.Serializer[Any]], data: Any) -> None:
    assert_same(serializer_class, data)


def test_the_fields_of_a_class_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    process_state.forget_all()
    query = query_dict([("primaryCatId", ""), ("timest", "2025-06")])
    assert FiguresParametersSerializer(data=query).is_valid()
    monkeypatch.setattr(FiguresParametersSerializer, "get_fields", None)
    assert FiguresParametersSerializer(data=query).is_valid()
