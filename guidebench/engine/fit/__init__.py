"""One guide on one prepared problem, in stages: train, choose, draw, score and judge."""
