"""A local stand-in for the collection service, with made-up figures; it needs no Django settings.

Every answer and every webhook it sends carries the header named here, so that the product can tell it
from the real service and refuse it in production.
"""

from __future__ import annotations

SIMULATOR_HEADER = "X-MengLa-Simulator"
