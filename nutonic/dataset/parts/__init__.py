"""Finishing and proving a tree in parts of bounded size, done here or by workers, and put together in their order."""
