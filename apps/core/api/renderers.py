"""DRF's renderers of JSON; :mod:`apps.core.api.envelope` itself does not depend on DRF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer

from apps.core.api.envelope import JSON_CONTENT_TYPE, EnvelopeBody, dump_json, success_body


class JsonRenderer(BaseRenderer):
    """Renders the data that a view returns, as it is."""

    media_type = JSON_CONTENT_TYPE
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of ``data``."""
        return dump_json(data)


class EnvelopeRenderer(JsonRenderer):
    """Renders the data that a view returns, inside the envelope."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of the envelope around ``data``."""
        return super().render(data if isinstance(data, EnvelopeBody) else success_body(data))
