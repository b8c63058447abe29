"""Tiny data on disk in the true layout of every named data set: name to a function of its folder."""
