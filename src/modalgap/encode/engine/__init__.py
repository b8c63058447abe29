"""Engine: encode a source in batches, and store them as they finish."""
