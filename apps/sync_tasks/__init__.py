"""Runs: how they start, their progress and how they end; what a run does belongs to other apps."""
