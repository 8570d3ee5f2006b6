"""Real machines as a lab: an inventory names them, ssh reaches them, a guard on each keeps count of what is made."""
