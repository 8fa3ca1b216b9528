"""Training runs as values: what a run is, and the recipes that make one."""
