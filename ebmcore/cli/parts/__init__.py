"""Commands about parts: list a kind, show a part."""
