"""HTTP to the servers that the tests start."""

from __future__ import annotations

import ssl

# For ``verify=`` of httpx: no server here speaks TLS, and each client of its own would read all certificates
# there are, which takes 20 ms.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# What ``/metrics`` asks for: the METRICS_TOKEN of tests/environment.py.
METRICS_HEADERS = {"Authorization": "Bearer test-metrics-token"}
