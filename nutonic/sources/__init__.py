"""The outside world, in: places files, catalogues and rasters."""
