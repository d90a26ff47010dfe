"""The data page: the query and its form, the figures as tables and charts, their files and freshness."""
