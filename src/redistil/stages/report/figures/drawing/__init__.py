"""What all figures share: their look, their axes, and what they are drawn from."""
