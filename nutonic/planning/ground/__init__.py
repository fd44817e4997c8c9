"""Ground: where the squares of places lie, and which of them share some."""
