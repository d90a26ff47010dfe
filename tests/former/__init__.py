"""What the former program leaves behind: its documents and indexes, and its panel configuration.

``database.jsonl.gz`` has, for each MongoDB collection, a line with its indexes, then its documents (extended
JSON). The figures are made up.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo.database import Database

PANEL_CONFIG = Path(__file__).parent / "panel_config.json"
_DATABASE = Path(__file__).parent / "database.jsonl.gz"
_KEYS = {
    "high": ("highList", "list"),
    "hot": ("hotList", "list"),
    "chance": ("chanceList", "list"),
    "industryViewV2": ("industryViewV2List", None),
    "industryTrendRange": ("industryTrendRange", None),
}
Document = dict[str, Any]


def fill(database: Database[Document]) -> None:
    """Create the MongoDB collections with their indexes and documents."""
    for line in gzip.decompress(_DATABASE.read_bytes()).decode().splitlines():
        entry = json_util.loads(line)
        if "document" in entry:
            document = entry["document"]
            if document.get("expired_at"):  # else MongoDB would delete old samples at once
                document["expired_at"] = datetime.now(UTC) + timedelta(days=30)
            database[entry["in"]].insert_one(document)
            continue
        collection = database.create_collection(entry["collection"])
        for index in json.loads(line)["indexes"]:
            if index["name"] != "_id_":
                options = {key: value for key, value in index.items() if key not in ("key", "name")}
                collection.create_index(list(index["key"].items()), name=index["name"], **options)


def figures_of(document: Document) -> Any:
    """The figures in a document of mengla_data without their wrapping, None when it has none."""
    key, inner = _KEYS[document["action"]]
    data = document["data"]
    wrapped = data.get(key) if isinstance(data, dict) else None
    if wrapped is None:
        return None
    figures = wrapped["data"]
    return (figures[inner] if inner else figures) or None
