"""A tree of a dataset: its commits, its card, and the proof that it is whole."""
