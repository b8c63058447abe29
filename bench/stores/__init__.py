"""Vector stores: recall, size and time of raw, closed and standardised vectors."""
