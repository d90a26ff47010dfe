"""The coverage page: the overview of all data sets, the map of one, the panel of a cell, filling gaps."""
