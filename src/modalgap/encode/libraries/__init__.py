"""Libraries: one adapter for each library that models come from."""
