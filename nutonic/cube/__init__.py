"""Lazy datasets over an area and time: to search for, open, reduce and save."""
