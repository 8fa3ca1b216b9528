"""`Dataset` to `Batch` for training: transforms, sampling, loading in many processes."""
