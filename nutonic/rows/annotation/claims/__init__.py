"""What captions of patches claim beyond names, numbers, places and shapes: by their words, denials, sizes and meetings."""
