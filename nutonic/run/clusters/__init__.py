"""Clusters as they are: workers that hang, batches that never end, and what drivers left behind."""
