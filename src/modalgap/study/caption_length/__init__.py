"""The gap against the length of captions."""
