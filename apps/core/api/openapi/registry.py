"""Adds named parts to the document that is being generated, and returns the references to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from apps.core.api.openapi.components import NamedSchema, ResponseHeader


def schema_ref(registry: ComponentRegistry, named: NamedSchema) -> dict[str, Any]:
    """Add the schema of a value."""
    return _ref(registry, ResolvedComponent.SCHEMA, named.name, named.schema)


def header_refs(registry: ComponentRegistry, headers: Iterable[ResponseHeader]) -> dict[str, Any]:
    """Add headers; returns the references by the names of the headers."""
    return {one.name: _ref(registry, ResolvedComponent.HEADER, one.name, _content(one)) for one in headers}


def response_ref(registry: ComponentRegistry, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Add a response."""
    return _ref(registry, ResolvedComponent.RESPONSE, name, content)


def _content(header: ResponseHeader) -> dict[str, Any]:
    content: dict[str, Any] = {"description": header.description, "schema": dict(header.schema)}
    return content | ({"required": True} if header.is_always else {})


def _ref(registry: ComponentRegistry, kind: str, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    make: Any = ResolvedComponent
    component = make(name=name, type=kind, schema=dict(content), object=name)
    registry.register_on_missing(component)
    return dict(component.ref)
