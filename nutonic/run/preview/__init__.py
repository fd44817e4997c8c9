"""A few chips before a build: made as a build makes them, and written nowhere."""
