"""Everything that speaks the collection service's protocol."""
