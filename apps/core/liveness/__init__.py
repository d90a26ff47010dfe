"""Which processes and servers are alive, and reads of several servers within one deadline."""
