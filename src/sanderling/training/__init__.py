"""The training loop and what it is made of; it knows a task, never a model family."""
