"""Tools for developers, which the product does not use: `bin/messages` maintains the translations."""
