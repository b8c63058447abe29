"""The command line: one file per command; it parses, calls the verb and prints."""

from modalgap.cli.app import main

__all__ = ["main"]
