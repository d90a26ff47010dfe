"""Collects, stores and serves the market figures. Its rooms follow the flow of the data.

`panels` and `admin` call the rooms; only this app receives figures and calls the collection service.
"""
