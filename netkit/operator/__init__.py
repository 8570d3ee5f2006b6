"""For whoever runs labs on machines of their own, or has to find out what a machine can do."""
