"""What runs on a machine of an inventory: sent over by ssh, with the standard library alone (Python 3.9 or newer)."""
