"""A run's directory on the disk: the names in it, and how its files are reached."""
