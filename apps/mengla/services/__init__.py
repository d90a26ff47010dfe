"""What this app does; each module one step of the flow of a read or of a collection."""
