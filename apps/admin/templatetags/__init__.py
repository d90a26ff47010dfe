"""Template filters of the control room."""
