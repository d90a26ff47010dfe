"""The dashboard: its parts, what needs attention, and where each number leads."""
