"""Wrong datasets and transforms."""
