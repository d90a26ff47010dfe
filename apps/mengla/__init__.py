"""The market figures: asked for, collected, stored and served. Its rooms follow the way of the data.

`panels` and `admin` call the rooms; only this app receives figures and speaks to the collection service.
"""
