"""Building patches, captioning them, and finishing their shards."""
