"""Wrong optimizers and learning-rate schedules."""
