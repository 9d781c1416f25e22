"""A sweep: its file, its search space, its workers, and its report."""
