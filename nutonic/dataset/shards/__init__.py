"""Patches and captions as WebDataset shards, with statistics."""
