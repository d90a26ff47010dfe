"""The environment of every test, set before Django's settings are read (``-p tests.environment``)."""

from __future__ import annotations

import os
import signal

from tests.parallel import own_mongo_db, own_redis_uri

# No developer's .env file reaches a test; the servers come from bin/test or the caller.
os.environ["ENV_FILE"] = ""
os.environ["MONGO_DB"] = own_mongo_db(os.environ.get("MONGO_DB") or "collector_tests")
if os.environ.get("REDIS_URI"):
    os.environ["REDIS_URI"] = own_redis_uri(os.environ["REDIS_URI"])
os.environ.update(
    {
        "ENV": "test",
        "SECRET_KEY": "test-secret-key-that-is-long-enough-for-every-check",
        "WEBHOOK_SECRET": "test-webhook-secret",
        "COLLECT_SERVICE_API_KEY": "test-service-key",
        "METRICS_TOKEN": "test-metrics-token",
        "ADMIN_USERNAME": "admin",
        "ADMIN_PASSWORD": "test-admin-password",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "INFO",
    }
)
for _name in ("COLLECT_SERVICE_URL", "DEBUG", "APP_BASEURL", "MENGLA_WEBHOOK_URL"):
    os.environ.pop(_name, None)

# In the background of a shell script Ctrl-C is ignored, which children inherit; some tests send it to them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
