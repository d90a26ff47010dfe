"""The pages of the control room that are no lists of one model: the dashboard, the coverage, the data."""
