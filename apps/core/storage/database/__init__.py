"""The database engine of the settings: the ORM and ``storage.mongo`` reach MongoDB through it."""
