"""The caches: two tiers, retries of notifications after an outage, usage of L2. Any app may use them."""
