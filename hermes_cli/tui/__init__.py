"""The text interface: the same status as everywhere, live, with start, stop and restart by key."""
