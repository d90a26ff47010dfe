"""Whether everything is well: the health of servers and processes."""
