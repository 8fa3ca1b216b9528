"""What ships: networks as values, their parts, their weights."""
