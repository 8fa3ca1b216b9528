"""Smaller or better networks from given ones: distillation."""
