"""A user's own model and guides from files, and the data that go with them."""
