"""`manage.py qcluster` of our own, in an app of its own: the first app that has a command wins."""
