"""The look of all figures, their axes, and the data that they are drawn from."""
