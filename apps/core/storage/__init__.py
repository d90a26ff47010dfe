"""MongoDB and Redis: connections, outages, and small state that processes share through them."""
