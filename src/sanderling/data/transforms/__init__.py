"""What happens to the pixels and boxes of a training sample, each as numbers for a whole window at once."""
