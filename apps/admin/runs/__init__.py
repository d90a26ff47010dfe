"""Starting and cancelling sync tasks through the API, and what is stored of a range."""
