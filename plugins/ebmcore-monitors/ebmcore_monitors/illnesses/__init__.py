"""What can go wrong with training an energy-based model: each illness a file, told by evidence."""
