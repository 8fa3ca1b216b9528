"""Pure functions on boxes: `array` for NumPy, `tensor` for torch."""
