"""Tasks of each contestant, in a process of its own: the same for all, answered its own way."""
