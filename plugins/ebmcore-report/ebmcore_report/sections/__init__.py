"""The sections of a report, each of them a function from what is shown to HTML."""
