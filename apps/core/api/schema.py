"""OpenAPI: adds the envelope to every response in the document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import ListSerializer

from apps.core.api.serializers import ExactSerializer
from apps.core.errors import all_error_codes

ENVELOPE_COMPONENT: dict[str, Any] = {
    "type": "object",
    "description": "The envelope of every successful response.",
    "required": ["success", "data", "message"],
    "properties": {
        "success": {"type": "boolean", "enum": [True]},
        "data": {},
        "message": {"type": "string", "example": "ok"},
    },
}
ERROR_COMPONENT: dict[str, Any] = {
    "type": "object",
    "description": "The envelope of every error.",
    "required": ["success", "error", "message", "detail"],
    "properties": {
        "success": {"type": "boolean", "enum": [False]},
        "error": {"type": "string", "enum": list(all_error_codes())},
        "message": {"type": "string", "description": "What went wrong, as text for people."},
        "detail": {"type": "string", "nullable": True},
        "fields": {
            "type": "object",
            "description": "Messages by input name; only with VALIDATION_ERROR.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}


class EnvelopeAutoSchema(AutoSchema):
    """Describes each successful response as the envelope around the view's serializer."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        # A view named ``list`` may return a page, which is an object; only ``many=True`` means an array.
        return isinstance(serializer, ListSerializer)

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(serializer, ExactSerializer):
            schema["additionalProperties"] = False  # an unknown name is refused
        return schema

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        if isinstance(field, ListSerializer):  # the base class knows the bounds of lists of values only
            bounds = {"minItems": "min_length", "maxItems": "max_length"}
            found = {name: getattr(field, option, None) for name, option in bounds.items()}
            schema |= {name: bound for name, bound in found.items() if bound is not None}
        return schema

    def _get_response_for_code(
        self,
        serializer: Any,
        status_code: str,
        media_types: list[str] | None = None,
        direction: Any = "response",
    ) -> dict[str, Any]:
        response: dict[str, Any] = super()._get_response_for_code(  # type: ignore[no-untyped-call]
            serializer, status_code, media_types, direction
        )
        for media in response.get("content", {}).values():
            media["schema"] = {
                "allOf": [
                    {"$ref": "#/components/schemas/Envelope"},
                    {"type": "object", "properties": {"data": media.get("schema", {})}},
                ]
            }
        return response


def add_envelope(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add the envelope's components and the error response to the document (a spectacular hook)."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Envelope"] = ENVELOPE_COMPONENT
    schemas["Error"] = ERROR_COMPONENT
    error_response = {
        "description": "Any error; its code determines the status.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for path in result.get("paths", {}).values():
        for operation in path.values():
            operation["responses"].setdefault("default", error_response)
    return result
