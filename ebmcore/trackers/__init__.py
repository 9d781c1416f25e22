"""Trackers: they follow a run directory and show it elsewhere."""
