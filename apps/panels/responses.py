"""The response with the panel configuration, as final bytes with an ETag, in the shared cache tiers.

All clients read it, and people change it seldom. A change invalidates the entry in every process at once.
The entry is fresh for a few seconds only, in case a change is killed before it does so. While MongoDB is
down, the last known entry is served.
"""

from __future__ import annotations

from typing import Final

from apps.core.api.cached_response import matches_etag
from apps.core.api.envelope import dump_json, success_body
from apps.core.caching.entry import Built, Entry, build_lasting_entry
from apps.core.caching.read_through import Found, get_or_build
from apps.panels.config import PanelConfig
from apps.panels.errors import VersionConflict
from apps.panels.selectors import CACHE_GROUP, read_config
from apps.panels.serializers import PanelConfigSerializer

FRESH_SECONDS: Final = 5
_CONFIG_FIELD: Final = "config"


def find_config() -> Found[Built]:
    """Return the response with the current configuration, as an entry of the caches."""
    return get_or_build(CACHE_GROUP, _CONFIG_FIELD, lambda: Built(config_entry(read_config())))


def config_entry(config: PanelConfig) -> Entry:
    """Return the response as an entry; its ETag changes with every change of the configuration."""
    body = dump_json(success_body(PanelConfigSerializer(config).data))
    return build_lasting_entry(body, fresh_seconds=FRESH_SECONDS)


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
