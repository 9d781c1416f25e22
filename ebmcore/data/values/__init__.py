"""Numbers as users give them: arrays, digits that a type loses, values that do not fit."""
