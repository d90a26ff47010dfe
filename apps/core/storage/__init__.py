"""MongoDB and Redis: connections, outages, and small facts that processes share through them."""
