"""What the words of a run mean, verdicts and statuses: when one is given, what to do then, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.results import Status, Verdict

#: The rule that all verdicts follow, and that noise is allowed for.
RULE = (
    rf"|m_q - m_p| / \sigma_p \le {MEAN_ERROR:g} and |\sigma_q / \sigma_p - 1| \le {SD_ERROR:g} for every latent, "
    r"beyond max(2, \sqrt{2 \log n}) Monte Carlo errors of n latents"
)

#: Where a word is explained at length.
VERDICTS_PAGE = "docs/reading-a-report.md, The verdict"
STATUS_PAGE = "docs/reading-a-report.md, Convergence"


class Meaning(NamedTuple):
    """One word.

    Attributes
    ----------
    when : str
        When it is given.
    then : str
        What to do.
    limits : str
        What it leaves open.
    """

    when: str
    then: str
    limits: str


VERDICTS: Mapping[Verdict, Meaning] = {
    Verdict.TRUST: Meaning(
        "The guide's own draws are right, by the reference or what stands in for it, by chains that settled, or by "
        "weights where there are neither, and nobody with a say objects.",
        "Use its draws as they are.",
        "A mode that no search has met and no tail reaches. Functions other than means and sds, tails above all.",
    ),
    Verdict.REFRESH: Meaning(
        "Its draws are wrong, but those of the chains that began at them are right; or nobody vouches for its chains, "
        "and a mixture about what a search found was accepted in their place, or groups of chains from there.",
        "Use the refreshed draws: the group 'refreshed' of the guide's file, or posterior() of the comparison.",
        "Chains do not cross between far modes.",
    ),
    Verdict.REWEIGHT: Meaning(
        "Its draws are wrong, but right with their importance weights.",
        "Use the draws with their weights: log_weight in the group 'sample_stats', or posterior() of the comparison.",
        "Weights are blind to where the guide has no draws.",
    ),
    Verdict.DISTRUST: Meaning(
        "Nothing of it is right, or nobody can tell.",
        "Do not use its intervals. The reason says what was tried, the recommendation what to try next.",
        "It may be right where nothing could tell: the reason then says so.",
    ),
    Verdict.POINT: Meaning(
        "The guide is a point estimate: it has no spread, hence no intervals and no ELBO.",
        "Use it as a point, or take a guide that has intervals.",
        "How far the point is from the mean says nothing of how wide the posterior is.",
    ),
    Verdict.FAILED: Meaning("There are no draws.", "Read the message of the fit.", "What the guide could do."),
}

STATUSES: Mapping[Status, Meaning] = {
    Status.CONVERGED: Meaning(
        "The loss no longer falls: no block of the last steps is lower than the one before by more than 0.02 nat and "
        "three standard errors, and the blocks are quiet enough to have shown 0.1 nat; or L-BFGS under fixed noise "
        "came to an end by itself, and neither a larger sample (of the largest: what another one says is left) nor "
        "stochastic steps gained as much.",
        "Read the verdict: converged means that training is done, not that the guide is right.",
        "Another start might end elsewhere.",
    ),
    Status.MAX_STEPS: Meaning(
        "The steps were used up before training had settled, or it is too noisy to tell; or data held back from "
        "training stopped it early.",
        "Train longer (--steps), or with more draws per gradient (--particles).",
        "The ELBO says how far training came, not how good the family is.",
    ),
    Status.DIVERGED: Meaning(
        "The loss or the parameters were no longer finite.",
        "Try a smaller --learning-rate, --clip-norm, --x64, or another start (--init).",
        "What the guide could do.",
    ),
    Status.UNSUPPORTED: Meaning(
        "The guide cannot be used on this model, and says why.", "Take another guide.", "Nothing was trained."
    ),
    Status.FAILED: Meaning(
        "An error ended the fit, or it ran out of --time-limit.",
        "Read the message; results.json has the traceback.",
        "What the guide could do.",
    ),
}
