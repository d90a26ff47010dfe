"""The database engine of the settings: the ORM's way to MongoDB, and that of ``storage.mongo``."""
