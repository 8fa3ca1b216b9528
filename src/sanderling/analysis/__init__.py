"""What a network costs and how it is built, without running it on pictures."""
