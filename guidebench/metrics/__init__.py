"""Metrics: pure functions of the draws of one fit, each declared through the metrics hook."""
