"""The caches by hand: their statistics, clearing and warming them."""
