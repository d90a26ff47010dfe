"""What a team would write: plain views of Django REST framework that return the same data.

They read the same documents through the ORM, use serializers and a token that is looked up in MongoDB for
each request, and are served by the same server. They are measured, and are no part of the product. They are
written in the fastest of the usual ways: stored JSON is returned by a JSONField and not declared field by
field, there is no access log, and nothing is counted.
"""
