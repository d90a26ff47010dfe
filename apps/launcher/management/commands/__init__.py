"""Each command runs one server; the first app that has a command wins."""
