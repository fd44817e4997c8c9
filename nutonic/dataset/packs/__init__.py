"""A finished tree in another shape, in another folder: what trainers, the Hub and maps read."""
