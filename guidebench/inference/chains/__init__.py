r"""Chains from a guide's draws: what Hamiltonian Monte Carlo makes of them is the judge of the guide, in any dimension.

A few hundred chains start at draws :math:`\theta_c \sim q`, side by side, in coordinates whitened by the moments of
the guide.  If the guide is right they start in equilibrium and no moment moves; if it is wrong they leave, and where
they settle is the posterior as far as they reach.  That takes no density of the guide, and costs the same in any
dimension but for the step size.

Chains do not travel between far modes: from one guide alone they say nothing of a mode in which it has no draws.

References
----------
Hoffman & Ma (2020), Black-Box Variational Inference as Distilled Langevin Dynamics, ICML, for Markov chains from
variational draws; Sountsov & Hoffman (2022), arXiv:2110.11576, for trajectory lengths drawn at random and step sizes
adapted over chains; Margossian et al. (2024), Nested R-hat, Bayesian Analysis, doi:10.1214/24-BA1453, for many short
chains; Turner, Hoffman et al. (2023), TADDAA, arXiv:2302.12419, for short chains as a diagnostic of a guide.
"""
