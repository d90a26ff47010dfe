"""A simulator of the collection service, with made-up figures; it needs no Django settings.

Only its command imports it. Every response and every webhook that it sends carries ``SIMULATOR_HEADER``.
"""
