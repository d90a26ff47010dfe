"""The response with the panel configuration, as final bytes with an ETag."""

from __future__ import annotations

from apps.core.api.cached_response import matches_etag
from apps.core.api.envelope import dump_json, success_body
from apps.core.caching.tiers import Entry, build_entry
from apps.core.storage.clock import unix_now
from apps.panels.config import PanelConfig
from apps.panels.errors import VersionConflict
from apps.panels.selectors import read_config
from apps.panels.serializers import PanelConfigSerializer


def config_entry(config: PanelConfig) -> Entry:
    """Return the response as an entry; its ETag changes with every change of the configuration."""
    now = unix_now()
    body = dump_json(success_body(PanelConfigSerializer(config).data))
    return build_entry(body, stored_at=now, fresh_until=now, serve_until=now)


def expected_version(*, if_match: str | None, version: int | None) -> int | None:
    """Return the version that a change expects, by the If-Match header and the body; None for any version.

    :raises VersionConflict: when the header does not match the current configuration, or the two disagree.
    """
    if if_match is None or if_match.strip() == "*":
        return version
    config = read_config()
    if not matches_etag(if_match, config_entry(config)) or version not in (None, config.version):
        raise VersionConflict(config.version)
    return config.version
