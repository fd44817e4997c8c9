"""The outside world, out: files, commits and the layout of a tree."""
