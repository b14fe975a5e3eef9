"""Training, drawing and predicting: JAX and NumPyro, no plugin names and no files."""
