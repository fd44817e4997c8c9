"""Patches of ground described from a map: geometry to words and numbers that hold."""
