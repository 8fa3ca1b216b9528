"""NumPy functions on boxes; what runs on the device."""
