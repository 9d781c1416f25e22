"""A run's directory on the disk: its files, its lock, and safe access to them."""
