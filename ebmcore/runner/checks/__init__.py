"""Checks of the parts of a run against each other, before anything is written."""
