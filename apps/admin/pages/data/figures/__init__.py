"""What the data page makes of figures: measures, comparisons and brands over time, as charts and tables.

It reads stored figures only; the page itself reads the figures that it is asked for.
"""
