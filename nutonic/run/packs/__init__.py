"""Packing a finished tree, shard by shard, and putting it on the Hub."""
