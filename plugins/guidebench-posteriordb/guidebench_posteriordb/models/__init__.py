"""The models of the posterior database in NumPyro, with the names that its reference draws have."""
