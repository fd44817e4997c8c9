"""Bytes in and out: HTTP, GDAL, caches, limits and stores."""
