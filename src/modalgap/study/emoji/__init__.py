"""Studies on emoji: real pictures of objects with attributes, in several styles."""
