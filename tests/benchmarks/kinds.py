"""The kinds of servers: the product, the product with a small L1, the bare function, the plain views."""

from __future__ import annotations

PRODUCT, SMALL_L1, BARE, PLAIN = "product", "small L1", "bare", "plain"
