"""The circuit breaker by hand: its state, and its reset."""
