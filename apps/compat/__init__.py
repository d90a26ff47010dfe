"""The HTTP contract of the former program, for its clients; off by default (COMPAT_API).

Views over the services of the other apps: they only translate what its clients send and expect.
"""
