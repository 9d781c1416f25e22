"""Losses of bits and of categories: they compare an event with those beside it."""
