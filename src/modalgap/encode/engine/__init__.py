"""Engine: from a source to embeddings, in batches that are kept as they are made."""
