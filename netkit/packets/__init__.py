"""Packets, byte by byte: capture files read, headers decoded and laid out. Standard library but for the figure."""
