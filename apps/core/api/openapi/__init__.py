"""The OpenAPI document: what follows from a view by itself, and what its methods say of their answers.

Views use :mod:`facts`, serializers :mod:`components`; the rest is called by drf-spectacular.
"""
