"""What every request passes, whatever it is for: middleware, proxies, Django's error handlers, the probes."""
