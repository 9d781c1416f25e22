"""Monitors: when they run, their view of a run, and their figures."""
