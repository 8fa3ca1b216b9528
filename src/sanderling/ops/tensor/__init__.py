"""Torch functions on boxes; what training and the exported graph use."""
