"""The health of the collecting, the servers and the processes."""
