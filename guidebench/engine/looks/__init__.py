"""What is said of a problem before anything is trained: one line each, from its model and its data."""

from guidebench.engine.looks.look import look, none_observed

__all__ = ["look", "none_observed"]
