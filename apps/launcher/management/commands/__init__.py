"""Each command runs one server; Django takes a command from the first app in INSTALLED_APPS that has it."""
