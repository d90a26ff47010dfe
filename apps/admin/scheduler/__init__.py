"""The schedules: their state, pausing and resuming them."""
