"""Where the chips of a dataset lie on Earth: cells, footprints, what of it others hold too."""
