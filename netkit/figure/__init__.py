"""How a topology, a packet or a trace is drawn: places first, ink last."""
