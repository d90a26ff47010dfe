"""What is asked for: a query, its parameters, what a run would ask for, and how long figures are fresh.

Pure rules without MongoDB; every room calls them.
"""
