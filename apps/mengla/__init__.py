"""mengla."""
