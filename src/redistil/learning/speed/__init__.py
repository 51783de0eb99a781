"""Accelerated paths. To delete them, remove their calls in `students/`: scores move by rounding."""
