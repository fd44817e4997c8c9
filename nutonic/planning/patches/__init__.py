"""Lattices of patches on images, planned from metadata."""
