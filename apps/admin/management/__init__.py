"""The commands of operators: alerts, caches, the breaker and the schedules."""
