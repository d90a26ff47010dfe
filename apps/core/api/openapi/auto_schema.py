"""Describes each address for drf-spectacular: its texts, its parameters, and all its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import cleandoc
from typing import Any

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import append_meta
from rest_framework.serializers import IntegerField, ListField, ListSerializer

from apps.core.api.openapi.components import (
    AGE,
    CACHE_CONTROL,
    ETAG,
    IF_NONE_MATCH,
    LOCATION,
    REQUEST_ID,
    NamedSchema,
    ResponseHeader,
)
from apps.core.api.openapi.error_responses import JSON, codes_of, error_responses
from apps.core.api.openapi.facts import Answers, DataResponse, answers_of
from apps.core.api.openapi.registry import header_refs, response_ref, schema_ref
from apps.core.api.openapi.rules import with_references
from apps.core.api.serializers import ExactSerializer, QuerySerializer

_OK, _ACCEPTED = "200", "202"
_NULL: Mapping[str, Any] = {"type": "null"}
_EMPTY: Mapping[str, Any] = {"type": "string", "const": ""}
_ENVELOPE = ("success", "data", "message")
_BOUNDS = {"minItems": "min_length", "maxItems": "max_length"}


class EnvelopeAutoSchema(AutoSchema):
    """Describes an address; each successful response is the envelope around the view's serializer."""

    # --- Texts ----------------------------------------------------------------------------------------

    def get_summary(self) -> str | None:
        """Return the summary of ``extend_schema``, or else the first sentence of the method's docstring."""
        return super().get_summary() or self._doc()[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]
        """Return the description of ``extend_schema``, or else the rest of the method's docstring."""
        return self._doc()[1]

    def _doc(self) -> tuple[str, str]:
        first, _, rest = cleandoc(getattr(self._handler(), "__doc__", None) or "").partition("\n\n")
        return " ".join(first.split()), rest.partition(":raises")[0].strip()

    def _handler(self) -> Callable[..., Any] | None:
        """Return the method of the view that answers."""
        return getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)

    # --- Values ---------------------------------------------------------------------------------------

    def _is_list_view(self, serializer: Any = None) -> bool:
        # A view named ``list`` may return a page, which is an object; only ``many=True`` means an array.
        return isinstance(serializer, ListSerializer)

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        for field in serializer.fields.values() if direction == "request" else ():
            if getattr(field, "trim_whitespace", False) and hasattr(field, "openapi_pattern"):
                for bound in ("minLength", "maxLength"):  # the pattern says what counts
                    schema["properties"].get(field.field_name, {}).pop(bound, None)
        if isinstance(serializer, ExactSerializer):
            schema["additionalProperties"] = False  # an unknown name is refused
            if serializer.needed:
                schema["required"] = sorted({*schema.get("required", ()), *serializer.needed})
                properties = schema["properties"]
                properties |= {name: _without_absence(properties[name]) for name in serializer.needed}
            if serializer.needs_any:
                schema["minProperties"] = 1
            if serializer.openapi_rules:
                refer = partial(schema_ref, self.registry)
                schema["allOf"] = with_references(serializer.openapi_rules, refer)
        if getattr(serializer, "has_more_fields", False):
            schema["additionalProperties"] = True
        return schema

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any]
        named: NamedSchema | None = getattr(field, "openapi_schema", None) or _value_named(field.field_name)
        if named is not None:
            meta = self._get_serializer_field_meta(field, direction)  # type: ignore[no-untyped-call]
            for bound in ("minLength", "maxLength"):
                meta.pop(bound, None)  # the pattern or the enumeration is stricter
            schema = schema_ref(self.registry, named)
            if direction == "request" and _takes_empty(field) and not named.takes_empty:
                schema = {"oneOf": [schema, dict(_EMPTY)]}
            found: dict[str, Any] = append_meta(schema, meta)
            return found
        schema = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        if isinstance(field, ListField) and (value := _values_named(field.field_name)) is not None:
            schema["items"] = schema_ref(self.registry, value)
        if direction == "request" and (pattern := getattr(field, "openapi_pattern", None)):
            schema["pattern"] = pattern
        if direction == "response" and isinstance(field, IntegerField):
            schema.setdefault("minimum", 0)  # they are counts, times and sizes
        if isinstance(field, ListSerializer):  # the base class knows the bounds of lists of values only
            bounds = {name: getattr(field, option, None) for name, option in _BOUNDS.items()}
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        schema |= getattr(field, "openapi_bounds", {})
        return schema

    # --- Requests -------------------------------------------------------------------------------------

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        takes = self._input()
        method = self.method
        if method == "DELETE" and takes is not None and not issubclass(takes, QuerySerializer):
            self.method = "POST"  # drf-spectacular knows no body of a DELETE, which OpenAPI 3.0 had not
        try:
            body: dict[str, Any] | None = super()._get_request_body(  # type: ignore[no-untyped-call]
                direction
            )
        finally:
            self.method = method
        # Without an input class, the view reads the body itself, and needs one.
        if body is not None and (takes is None or getattr(takes, "needs_any", False)):
            body["required"] = True
        return body

    def _get_parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._get_parameters()
        if self._is_conditional():
            parameters.append(dict(IF_NONE_MATCH))
        named: Mapping[str, Any] = getattr(self.view, "path_examples", {})
        for parameter in parameters:
            parameter["schema"] = _without_null(parameter["schema"])  # a URL has no null
            if parameter["schema"].keys() == {"allOf"}:
                (parameter["schema"],) = parameter["schema"]["allOf"]
            if parameter["in"] == "path" and (value := _value_named(parameter["name"])) is not None:
                parameter["schema"] = schema_ref(self.registry, value)
            if parameter["in"] == "path" and parameter["name"] in named:
                parameter["example"] = named[parameter["name"]]
            if parameter["in"] == "query" and not parameter.get("required"):
                parameter["allowEmptyValue"] = True  # it counts as absent
            if parameter["in"] == "query" and (examples := self._examples_of(parameter["name"])):
                parameter["examples"] = examples
        return parameters

    def _is_conditional(self) -> bool:
        return self.method == "GET" and answers_of(self._handler()).is_cached

    def _examples_of(self, parameter: str) -> dict[str, Any]:
        """Return the values of a parameter in the examples of the query string."""
        serializer = self._input()
        if serializer is None or not issubclass(serializer, QuerySerializer):
            return {}
        return _named(
            {title: one[parameter] for title, one in serializer.examples.items() if parameter in one}
        )

    def _input(self) -> type[ExactSerializer] | None:
        inputs: Mapping[str, type[ExactSerializer]] = getattr(self.view, "inputs", {})
        return inputs.get(getattr(self.view, "action", None) or self.method.lower())

    def _get_examples(
        self, serializer: Any, direction: Any, media_type: Any, status_code: Any = None, extras: Any = None
    ) -> Any:
        found = super()._get_examples(  # type: ignore[no-untyped-call]
            serializer, direction, media_type, status_code, extras
        )
        kind = serializer if isinstance(serializer, type) else type(serializer)
        if direction == "request" and issubclass(kind, ExactSerializer):
            return found or _named(kind.examples)
        return found

    # --- Responses ------------------------------------------------------------------------------------

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        declared = answers_of(self._handler())
        for status, response in responses.items():
            response["headers"] = header_refs(self.registry, self._headers_of(status, declared))
        if self._is_conditional():
            responses["304"] = self._not_modified(declared.headers.get(304, ()))
        codes = codes_of(self.view, self.method, declared, has_path_parameters="{" in self.path)
        errors = error_responses(self.registry, sorted(codes, key=lambda code: code.http_status))
        return dict(sorted((responses | errors).items()))

    def _headers_of(self, status: str, declared: Answers) -> list[ResponseHeader]:
        headers = [REQUEST_ID]
        if status == _ACCEPTED:
            headers.append(LOCATION)
        if status == _OK and declared.is_cached:
            headers += [AGE, CACHE_CONTROL, *([ETAG] if self.method != "POST" else [])]
        return [*headers, *declared.headers.get(int(status), ())]

    def _not_modified(self, more: Sequence[ResponseHeader]) -> dict[str, Any]:
        headers = header_refs(self.registry, (REQUEST_ID, ETAG, AGE, CACHE_CONTROL, *more))
        content = {"description": "`If-None-Match` matches the body; there is none.", "headers": headers}
        return content if more else response_ref(self.registry, "NotModified", content)

    def _get_response_for_code(
        self,
        serializer: Any,
        status_code: str,
        media_types: list[str] | None = None,
        direction: Any = "response",
    ) -> dict[str, Any]:
        kinds = serializer.kinds if isinstance(serializer, DataResponse) else (serializer,)
        found: list[dict[str, Any]] = [
            super(EnvelopeAutoSchema, self)._get_response_for_code(  # type: ignore[no-untyped-call]
                kind, status_code, media_types, direction
            )
            for kind in kinds
        ]
        response = found[0]
        response["description"] = response["description"] or "The request was carried out."
        if JSON not in response.get("content", {}):
            return response  # a file
        schemas = [one["content"][JSON]["schema"] for one in found]
        data = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        name = _name_of(schemas[0])
        if isinstance(serializer, DataResponse):
            name = serializer.name
            response["description"] = serializer.description
            data = append_meta(data, {"nullable": True}) if serializer.is_nullable else data
            if serializer.bodies:
                response["content"][JSON]["examples"] = _named(serializer.bodies)
        response["content"][JSON]["schema"] = schema_ref(self.registry, _envelope(name, data))
        return response


def _value_named(name: str | None) -> NamedSchema | None:
    """Return the schema of the value that has this name everywhere; None if it is none of those."""
    for title, value in settings.OPENAPI_VALUES.items():
        if name in value["names"]:
            return NamedSchema(title, value["schema"], takes_empty=value.get("takes_empty", False))
    return None


def _takes_empty(field: Any) -> bool:
    """Whether a field of a body takes an empty text as an absent one; in a URL, each optional one does."""
    return getattr(field, "allow_blank", False) and not isinstance(field.parent, QuerySerializer)


def _without_absence(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without null and the empty text."""
    found = _without_null(schema)
    others = [one for one in found.pop("oneOf", ()) if one != _EMPTY]
    return found | (others[0] if others else {})


def _values_named(name: str | None) -> NamedSchema | None:
    """Return the schema of the items in lists of this name; None if they are none of those values."""
    for title, value in settings.OPENAPI_VALUES.items():
        if name in value["lists"]:
            return NamedSchema(title, value["schema"])
    return None


def _envelope(name: str, data: Mapping[str, Any]) -> NamedSchema:
    return NamedSchema(
        f"{name}Response",
        {
            "type": "object",
            "description": "The envelope of a successful response.",
            "required": list(_ENVELOPE),
            "properties": {
                "success": {"type": "boolean"},
                "data": data,
                "message": {"type": "string", "example": "ok"},
            },
        },
    )


def _name_of(schema: Mapping[str, Any]) -> str:
    """Return the name of the component that a schema refers to, with List at its end for a list of it."""
    if schema.get("type") == "array":
        return f"{_name_of(schema['items'])}List"
    return str(schema["$ref"]).rpartition("/")[2]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without null, if it has one of the forms of drf-spectacular."""
    if isinstance(schema.get("type"), list):
        types = [one for one in schema["type"] if one != "null"]
        return {**schema, "type": types[0] if len(types) == 1 else types}
    if _NULL in schema.get("oneOf", ()):
        others = [one for one in schema["oneOf"] if one != _NULL]
        rest = {name: value for name, value in schema.items() if name != "oneOf"}
        return rest | (others[0] if len(others) == 1 else {"oneOf": others})
    return dict(schema)


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by their titles as OpenAPI's examples."""
    return {
        re.sub(r"\W+", "_", title.lower()).strip("_"): {"summary": title, "value": value}
        for title, value in values.items()
    }


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Say which envelope means success, and what confirms; name all enumerations: the last hook."""
    schemas = result["components"]["schemas"]
    names = {tuple(schema["enum"]): name for name, schema in schemas.items() if "enum" in schema}
    for name, schema in schemas.items():
        if schema.get("description") == "\n".join(f"* `{one}` - {one}" for one in schema.get("enum", ())):
            del schema["description"]  # it says nothing that the values do not say
        if "success" in schema.get("properties", {}):
            schema["properties"]["success"] = {"type": "boolean", "enum": [name != "ErrorResponse"]}
        if "confirm" in schema.get("properties", {}):
            schema["properties"]["confirm"]["enum"] = [True]
        if "properties" in schema:
            schema["properties"] = {
                inner: _with_names(property, names) for inner, property in schema["properties"].items()
            }
    for path in result["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _with_names(parameter["schema"], names)
    return result


def _with_names(schema: Mapping[str, Any], names: Mapping[tuple[Any, ...], str]) -> dict[str, Any]:
    """Return a schema with a reference in the place of each enumeration that has a name."""
    schema = dict(schema)
    if "items" in schema:
        schema["items"] = _with_names(schema["items"], names)
    if schema.get("oneOf") == [{}, _NULL]:
        del schema["oneOf"]  # drf-spectacular's "anything or null", which refuses null: it matches both
    name = names.get(tuple(schema.get("enum", ())))
    if name is None:
        return schema
    reference = {"$ref": f"#/components/schemas/{name}"}
    return {"allOf": [reference], "default": schema["default"]} if "default" in schema else reference
