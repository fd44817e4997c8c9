"""Places to batches, from metadata alone."""
