"""Readers of sources that need no code by the user: one module per kind of files."""
