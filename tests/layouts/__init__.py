"""Tiny data on disk in the true layout of every named data set: a function of its folder."""
