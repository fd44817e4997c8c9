"""Pixels to rows, pure: pictures, regions, captions, rows and sidecars."""
