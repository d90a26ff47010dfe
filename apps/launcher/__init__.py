"""What starts the product and the servers that it needs; no other app knows it."""
