"""From pixels to rows, in pure functions: pictures, regions, captions, rows and sidecars."""
