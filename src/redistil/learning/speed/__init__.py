"""Accelerated paths. They can be deleted without a changed score."""
