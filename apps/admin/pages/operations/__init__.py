"""The operations page: starting work, and the switches of the installation; each page asks first."""
