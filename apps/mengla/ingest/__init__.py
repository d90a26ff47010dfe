"""What the collection service answers becomes records. The only writer of records; it notifies the caches.

Webhooks call it, and every room above that deletes or makes records.
"""
