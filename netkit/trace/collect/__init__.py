"""What runs on a machine to trace packets there: the standard library alone; all it makes ends with its process."""
