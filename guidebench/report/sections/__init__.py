"""The built-in sections, one module each: data first, drawing last."""
