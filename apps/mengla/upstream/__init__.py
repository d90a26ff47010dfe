"""Everything that speaks the collection service's protocol. It knows neither records nor the queue.

The rooms above call it. Only its client opens sockets to the service.
"""
