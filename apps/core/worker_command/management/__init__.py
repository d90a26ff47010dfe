"""Commands that stand in for those of django-q2."""
