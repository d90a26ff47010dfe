"""Commands that run the product's servers."""
