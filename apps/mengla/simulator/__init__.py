"""A local stand-in for the collection service, with made-up figures; it needs no Django settings.

Only its command imports it. Every response and every webhook it sends carries ``SIMULATOR_HEADER``.
"""
