"""Tests of the category app."""
