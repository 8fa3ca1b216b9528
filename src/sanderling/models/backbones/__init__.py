"""Backbones: pictures in, feature maps of several strides out."""
