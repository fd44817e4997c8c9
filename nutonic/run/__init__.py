"""Batches run here or on a cluster."""
