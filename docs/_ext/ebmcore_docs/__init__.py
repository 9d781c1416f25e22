"""The pages of the site that are made of code; `extension` brings them into Sphinx."""
