"""What is checked after a trial; importing this package registers all checks."""

from __future__ import annotations

from tests.chaos.checks import service, stored, used
from tests.chaos.checks.evidence import Evidence, Verdict, run_checks, seconds_of

__all__ = ["Evidence", "Verdict", "run_checks", "seconds_of", "service", "stored", "used"]
