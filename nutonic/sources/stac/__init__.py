"""STAC: catalogues on disk and behind APIs, and the files that their items name."""
