"""Names that mean the same, here or in programs that callers know.

An error about an unknown name suggests the one that the address knows. In each group, the names
that are more likely meant come first.
"""

from __future__ import annotations

INPUT_NAME_GROUPS: tuple[tuple[str, ...], ...] = (
    ("catId", "primaryCatId", "catIds", "categoryId", "category", "categories"),
    ("dateType", "granularity", "granularities", "dateTypes", "periodType"),
    ("timest", "period", "periodKey", "date"),
    ("starRange", "startDate", "from", "startRange", "start", "startedFrom"),
    ("endRange", "endDate", "to", "end", "startedTo"),
    ("action", "actions", "interface", "interfaces"),
    ("wait", "waitSeconds", "timeout"),
    ("refresh", "force", "forceRefresh", "useCache"),
    ("expires_hours", "expiresIn", "expireHours", "expiresDays"),
    ("limit", "pageSize", "size", "count"),
    ("cursor", "nextCursor", "page", "offset"),
    ("duration_minutes", "duration", "minutes"),
    ("rule_name", "rule", "alert"),
    ("label", "name", "description"),
    ("username", "user", "login", "email"),
    ("password", "pass", "pwd"),
    ("task_id", "taskName", "task"),
)
