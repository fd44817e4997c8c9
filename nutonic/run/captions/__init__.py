"""Captioning what is committed, as a stage of its own: of patches, and of places whose captions are polished."""
