"""Trackers: what follows a run directory and shows it elsewhere."""
