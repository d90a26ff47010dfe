"""The shared kernel: it imports no other app and knows no word of the product but *period*."""
