"""Captions of patches: what is asked for, what templates say, and what is let through."""
