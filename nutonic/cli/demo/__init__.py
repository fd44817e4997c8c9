"""The main job, offline, on a real scene."""
