"""Wrong parts that a run calls beside its steps."""
