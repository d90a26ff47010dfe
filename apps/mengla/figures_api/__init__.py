"""What the addresses of figures take, and how they answer: parameters, headers and the shapes of figures.

The views call it.
"""
