"""Tensors in, tensors out: what trains and scores a student."""
