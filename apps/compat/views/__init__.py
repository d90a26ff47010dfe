"""The addresses of the former contract, by what they are for."""
