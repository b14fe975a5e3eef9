"""The pages that show the difference between two runs."""
