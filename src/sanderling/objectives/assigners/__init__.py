"""Who is responsible for a box: the rules that pick points for each target."""
