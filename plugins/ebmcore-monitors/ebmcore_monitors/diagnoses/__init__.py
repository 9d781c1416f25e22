"""Diagnoses of training failures, one a file, each judged from the same evidence."""
