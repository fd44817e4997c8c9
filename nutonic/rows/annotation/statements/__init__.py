"""What captions of patches state beyond names, numbers, places and shapes: by their words, denials, sizes and meetings."""
