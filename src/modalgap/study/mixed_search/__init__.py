"""Mixed search: what makes scores of several modalities comparable."""
