"""Studies on emoji: real images of objects with attributes, in several styles."""
