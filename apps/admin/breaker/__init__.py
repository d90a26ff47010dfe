"""The circuit breaker for operators: its state and its reset."""
