"""The demo of modalgap."""
