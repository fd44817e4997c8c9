"""Land cover in files: which they are, and where each of them lies."""
