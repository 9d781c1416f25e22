"""Plots with matplotlib: figures, points of a plane, energy contours, mosaics of images."""
