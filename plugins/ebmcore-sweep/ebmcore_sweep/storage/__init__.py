"""The storage of a sweep: databases, the study, and the checks of what others wrote there."""
