"""Lazy datasets over an area and time: searched for, opened, reduced, saved."""
