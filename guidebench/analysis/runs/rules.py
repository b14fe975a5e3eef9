"""What each metric counts for: its direction, the least that matters, and what else moves it.

The metrics that decide are those a user would act on, each about another quality of a guide: the ELBO, the errors
of moments, marginals and correlations, and the calibration and scores on held-out data.  The others are noted: they
are parts or functions of these (a coverage at one level), lean on few draws (k-hat, the size of the weights), or hang
on the machine (times).  Whatever is in neither list is a plugin's: it is noted, since nobody knows how
much training moves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from guidebench.contracts import Direction, Metric
from guidebench.plugins.registry import load_registry
from guidebench.request.find_plugins import find_plugins


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one metric counts for.

    Attributes
    ----------
    better : {"higher", "lower", "nominal", "none"}
        Its direction; of a registered metric, the registered one.
    decides : bool
        Whether it decides if a run is worse.
    smallest, share : float
        The least change that matters: in its own unit, and as a share of the larger of both values.  Where a
        metric has no error, it is the tolerance.
    errors_of : str
        A pattern: the largest error among the metrics so called bounds that of this one, which has none.
    per_sd : float
        By how much it moves where training moves the draws by one sd of the posterior.
    unit : {"", "value", "site"}
        What `per_sd` is a multiple of: of nothing, of the metric's value, or of the sd of its site.
    weighted : bool
        Whether importance weights make it, so that it is compared only where k-hat says that its error holds.
    measured_on : {"", "reference", "heldout"}
        What it cannot be compared without.
    nominal : float
        Its best value, of the direction "nominal".
    """

    better: Direction = "none"
    decides: bool = False
    smallest: float = 0.0
    share: float = 0.0
    errors_of: str = ""
    per_sd: float = 0.0
    unit: Literal["", "value", "site"] = ""
    weighted: bool = False
    measured_on: Literal["", "reference", "heldout"] = ""
    nominal: float = 0.0

    def least(self, before: float, after: float) -> float:
        """Return the least change that matters between two values."""
        return max(self.smallest, self.share * max(abs(before), abs(after)))


def _error(per_sd: float = 1.0, errors_of: str = "") -> Rule:
    return Rule(
        better="lower", decides=True, smallest=0.02, per_sd=per_sd, errors_of=errors_of, measured_on="reference"
    )


def _weights(better: Direction, smallest: float = 0.05, share: float = 0.0) -> Rule:
    return Rule(better=better, smallest=smallest, share=share, per_sd=1.0, weighted=True)


def _distance(per_sd: float, better: Direction = "lower") -> Rule:
    return Rule(better=better, smallest=0.05, per_sd=per_sd, measured_on="reference")


def _heldout(better: Direction) -> Rule:
    return Rule(better=better, smallest=0.05, per_sd=0.5, measured_on="heldout")


#: What a relative sd moves by, where a mean moves by one sd at the same cost in nats.
_SD = 2**-0.5

#: A pattern for whole names, and the rule; the first that fits counts.
RULES: tuple[tuple[str, Rule], ...] = (
    ("elbo", Rule(better="higher", decides=True, smallest=0.02)),
    ("mean_error", _error()),
    ("sd_error", _error(_SD)),
    # By the duality of Kantorovich and Rubinstein, W1 moves by no more than some 1-Lipschitz mean does.
    ("w1_error", _error(errors_of="mean_error")),
    ("correlation_error", _error()),
    # A shift of one sd has a total variation of half of that at most, and so has what a coverage moves by.
    (
        "calibration_error",
        Rule(
            better="lower",
            decides=True,
            smallest=0.02,
            errors_of=r"coverage_\d\d",
            per_sd=0.5,
            measured_on="heldout",
        ),
    ),
    ("crps", Rule(better="lower", decides=True, share=0.02, per_sd=1.0, unit="value", measured_on="heldout")),
    ("elpd", Rule(better="higher", decides=True, smallest=0.02, per_sd=1.0, measured_on="heldout")),
    ("log_evidence", _weights("none")),
    ("(smoothed_)?kl", _weights("lower")),
    ("iw_bound", _weights("higher")),
    ("(mean|sd)_shift", _weights("lower")),
    ("(mean|sd)_reweighted", _weights("none", 0.0, 0.02)),
    ("reweighted_(mean|sd)_error", replace(_weights("lower"), measured_on="reference")),
    # These hang on the single largest weight.
    ("(smoothed_)?ess_share", Rule(better="higher", smallest=0.5, weighted=True)),
    ("khat", Rule(better="lower", smallest=0.2)),
    ("dropped_mass", Rule(better="lower", smallest=0.05)),
    (r"coverage_\d\d|pit_\d\d", _heldout("nominal")),
    ("pit_distance", _heldout("lower")),
    ("sd_ratio", _distance(_SD, "nominal")),
    # The outer quantiles move with the mean and with the sd.
    ("quantile_error|sliced_w2|energy_distance|correlation_error_frobenius", _distance(2.0)),
    (r"simulated_coverage_\d\d|simulated_bias", Rule(better="nominal", smallest=0.05)),
    ("elbo_restart_sd", Rule(better="lower", smallest=0.02, share=0.9)),
    ("mean", Rule(share=0.02, per_sd=1.0, unit="site")),
    ("sd", Rule(share=0.02, per_sd=_SD, unit="site")),
    ("correlation", Rule(smallest=0.05, per_sd=1.0)),
)

#: Ends of intervals, limits, p-values, and what is another metric over a constant.
_NOT_COMPARED = re.compile(
    r"khat_threshold|.*coverage_\d\d_(low|high)|sliced_w2_floor|simulated_.*_p|simulated_converged|ess|dropped_mass_.+"
)

_NOMINAL = {"sd_ratio": 1.0, "simulated_bias": 0.0}

#: Metrics of plugins: a fiftieth of the value matters, and a tenth of it where there is no error.
_OTHERS, WITHOUT_ERROR = Rule(share=0.02), 0.1


def rules(names: Iterable[str]) -> Mapping[str, Rule]:
    """Return the rule of every metric that is compared; of a registered one, in its registered direction.

    Plugins of other distributions are imported only where there is a metric that guidebench does not know.
    """
    wanted = [name for name in dict.fromkeys(names) if not _NOT_COMPARED.fullmatch(name)]
    declared = {one.name: one.declaration for one in load_registry(third_parties=False).metrics}
    if any(_own(name) is None and name not in declared for name in wanted):
        declared |= {one.name: one.declaration for one in find_plugins().metrics}
    return {name: _rule(name, declared.get(name)) for name in wanted}


def _own(name: str) -> Rule | None:
    return next((rule for pattern, rule in RULES if re.fullmatch(pattern, name)), None)


def _rule(name: str, declared: Metric | None) -> Rule:
    rule = _own(name) or _OTHERS
    if declared is not None:
        on: Literal["", "reference", "heldout"] = rule.measured_on
        if any(need.startswith("reference") for need in declared.needs):
            on = "reference"
        elif "heldout" in declared.needs:
            on = "heldout"
        rule = replace(rule, better=declared.better, measured_on=on)
    if rule.better != "nominal":
        return rule
    level = re.fullmatch(r"(?:simulated_)?coverage_(\d\d)", name)
    if level:
        return replace(rule, nominal=int(level[1]) / 100)
    if re.fullmatch(r"pit_\d\d", name):
        return replace(rule, nominal=0.1)
    # Where the nominal value of a plugin's metric lies, nobody said.
    return replace(rule, nominal=_NOMINAL[name]) if name in _NOMINAL else replace(rule, better="none")
