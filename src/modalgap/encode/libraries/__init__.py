"""Libraries: one adapter per model library."""
