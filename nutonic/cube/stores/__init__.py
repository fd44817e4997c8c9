"""Cubes in object stores."""
