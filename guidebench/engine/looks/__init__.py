"""What is said of a problem before anything is trained: one line each, from its model and its data."""

from guidebench.engine.looks.look import look

__all__ = ["look"]
