"""Monitors: their runner, their view of a run, and their figures."""
