"""What every Hermes server shares: bounds, readiness, problems, the peer of a socket."""
