"""Heads: feature maps in, predictions per point out."""
