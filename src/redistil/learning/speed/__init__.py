"""Accelerated paths. To delete them, remove two calls in `students/cat.py`: no score changes."""
