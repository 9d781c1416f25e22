"""Computations that several losses share."""
