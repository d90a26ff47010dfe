"""Builders of test data, one module per app."""

# The id of no document; fixed, because it stands in the names of tests, which every worker must agree on.
UNKNOWN_ID = "5eed" * 6
