"""From a trained network to a file that a device runs, with proof that both say the same."""
