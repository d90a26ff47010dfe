"""What developers run beside the product: `bin/messages` keeps the translations."""
