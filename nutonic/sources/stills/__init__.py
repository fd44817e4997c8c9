"""Overhead stills of places, from servers of static maps: asking for one, and knowing one from what is none."""
