"""The command line in the user's shell: lines to paste, and the catalogue that TAB reads."""
