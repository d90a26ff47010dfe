"""Formats of Chinese pages."""
