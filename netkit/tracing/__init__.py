"""Packet traces: which way the packets of a command took, and what was done to them on it."""
