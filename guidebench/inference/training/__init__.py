"""The stages of training: how a round is cut, what is compiled, the fold over rounds, and what comes of it."""
