"""What each verb does: one plain function per verb, heavy imports inside the functions."""
