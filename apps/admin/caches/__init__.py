"""Operating the caches: statistics, clearing, warm-up."""
