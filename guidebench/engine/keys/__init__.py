"""What a number depends on: fingerprints of code and data, and keys of fits."""
