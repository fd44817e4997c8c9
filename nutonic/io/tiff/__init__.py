"""Pixels of TIFF files without GDAL, where that is simple."""
