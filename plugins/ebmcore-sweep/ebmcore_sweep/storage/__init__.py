"""Where a search is kept: the databases, the study, and how far each is trusted."""
