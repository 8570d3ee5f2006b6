"""The lab's network as it changes, drawn in the notebook, and a packet's way through it step by step."""
