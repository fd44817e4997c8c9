"""A report of a tree, as one HTML file that needs nothing else."""
