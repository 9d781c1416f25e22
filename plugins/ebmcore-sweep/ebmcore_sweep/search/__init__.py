"""A search: which trials of a config there are, who trains them, and which is the best."""
