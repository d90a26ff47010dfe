"""The running server, with what a reader knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.analysts.figures import FIRST_MONTH, LAST_MONTH
from tests.integration.parts import new_client
from tests.integration.stack import Stack


@dataclass(frozen=True)
class Site:
    """A stack with figures, and a token that reads."""

    stack: Stack
    token: str
    cat_ids: tuple[str, ...]  # of level 1

    @property
    def url(self) -> str:
        return self.stack.url

    def figures(self, action: str, cat_id: str, **parameters: str) -> Any:
        """The figures of one query, as the address for single queries has them."""
        with new_client(self.url, self.token) as client:
            query = {"action": action, "primaryCatId": cat_id, **parameters}
            response = client.get("/api/mengla/", params=query)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def turnover(self, cat_ids: Iterable[str]) -> dict[tuple[str, str], float]:
        """The turnover of each category and month."""
        query = {"timest": LAST_MONTH, "starRange": FIRST_MONTH, "endRange": LAST_MONTH}
        return {
            (cat_id, point["timest"]): point["monthGmv"]
            for cat_id in cat_ids
            for point in self.figures("industryTrendRange", cat_id, **query)
        }
