"""Training on several ranks: who they are, what they exchange."""
