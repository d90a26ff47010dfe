"""The shared kernel. It imports no other app; of the product's terms it uses only *period*."""
