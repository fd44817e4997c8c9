"""Clusters as they are: where they are found, workers that hang, batches that never end, and what drivers left behind."""
