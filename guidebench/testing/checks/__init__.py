"""The checks of the contract suite, in the order in which they are run."""

from __future__ import annotations

from guidebench.testing.check import Check
from guidebench.testing.checks.declaring import check_declaration, check_import_is_light, check_options_are_accepted
from guidebench.testing.checks.densities import (
    check_density_agrees_with_numpyro,
    check_density_integrates_to_one,
    check_elbo_is_a_bound,
)
from guidebench.testing.checks.drawing import (
    check_draws_are_in_the_supports,
    check_same_seed_same_draws,
    check_saves_and_loads,
    check_sites_and_shapes,
)
from guidebench.testing.checks.training import (
    check_family,
    check_is_scored,
    check_recovers_the_exact_answer,
    check_trains,
    check_unsupported_models_have_a_reason,
)

#: Every check.
CHECKS = tuple(
    Check(function)
    for function in (
        check_declaration,
        check_options_are_accepted,
        check_import_is_light,
        check_sites_and_shapes,
        check_draws_are_in_the_supports,
        check_trains,
        check_unsupported_models_have_a_reason,
        check_is_scored,
        check_same_seed_same_draws,
        check_density_agrees_with_numpyro,
        check_density_integrates_to_one,
        check_elbo_is_a_bound,
        check_recovers_the_exact_answer,
        check_family,
        check_saves_and_loads,
    )
)
