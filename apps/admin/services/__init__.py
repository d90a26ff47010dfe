"""What operators look at and do, put together from what the other apps offer."""
