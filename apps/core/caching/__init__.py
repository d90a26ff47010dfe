"""The caches: two tiers, what they owe after an outage, and how often they are hit. Any app may use them."""
