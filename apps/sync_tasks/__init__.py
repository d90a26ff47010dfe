"""Runs: what was started, how far it is and how it ended; knows nothing of what a run does."""
