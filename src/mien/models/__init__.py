"""The networks: tensors in, tensors out, no files, no device choice, no hidden randomness."""
