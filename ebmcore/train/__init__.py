"""Training: the loop, its step, and the state that they keep."""
