"""What all requests share: middleware, trusted proxies, Django's error handlers, the probes."""
