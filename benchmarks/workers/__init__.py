"""What each contestant runs in a process of its own: the same tasks, answered its own way."""
