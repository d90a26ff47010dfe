"""Everything that speaks the collection service's protocol. It knows neither records nor the queue.

The rooms above call it; its client is the only socket to the service.
"""
