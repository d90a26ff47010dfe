"""The controls that several pages of the control room share: periods and categories, with their faults."""
