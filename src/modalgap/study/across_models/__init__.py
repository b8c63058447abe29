"""Studies of many models: what users ask about the size of the gap."""
