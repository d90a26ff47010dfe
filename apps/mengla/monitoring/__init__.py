"""What operators watch: coverage, throughput, the queue, and why something does not work. It only reads.

Doors and `apps.admin` call it.
"""
