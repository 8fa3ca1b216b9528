"""Weights in and out: safetensors is ours, and one reader per foreign format."""
