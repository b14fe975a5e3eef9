"""What plugins declare: guides, problems, metrics and report sections.

These are plain, frozen records.  Declaring one does no work and imports nothing heavy, so a plugin
module that builds its guide inside ``build`` costs nothing until somebody asks for that guide.
"""

from guidebench.contracts.evidence import Evidence, Heldout
from guidebench.contracts.guide import RESERVED_NAMES, RESERVED_OPTIONS, Bound, Family, Guide
from guidebench.contracts.method import Solution, Task
from guidebench.contracts.metric import Metric, MetricValue
from guidebench.contracts.page import Page
from guidebench.contracts.problem import Problem, ReferenceDraws, not_loaded, with_arguments
from guidebench.contracts.quantity import Direction, Quantity, Rule
from guidebench.contracts.section import Section

__all__ = [
    "RESERVED_NAMES",
    "RESERVED_OPTIONS",
    "Bound",
    "Direction",
    "Evidence",
    "Family",
    "Guide",
    "Heldout",
    "Metric",
    "MetricValue",
    "Page",
    "Problem",
    "Quantity",
    "ReferenceDraws",
    "Rule",
    "Section",
    "Solution",
    "Task",
    "not_loaded",
    "with_arguments",
]
