"""What plugins declare: guides, problems, metrics and report sections.

These are plain, frozen records.  Declaring one does no work and imports nothing heavy, so a plugin
module that builds its guide inside ``build`` costs nothing until somebody asks for that guide.
"""

from guidebench.contracts.guide import RESERVED_NAMES, RESERVED_OPTIONS, Bound, Family, Guide
from guidebench.contracts.method import Solution, Task
from guidebench.contracts.metric import Direction, Metric, MetricValue
from guidebench.contracts.problem import Problem, ReferenceDraws, not_loaded, with_arguments
from guidebench.contracts.section import Section

__all__ = [
    "RESERVED_NAMES",
    "RESERVED_OPTIONS",
    "Bound",
    "Direction",
    "Family",
    "Guide",
    "Metric",
    "MetricValue",
    "Problem",
    "ReferenceDraws",
    "Section",
    "Solution",
    "Task",
    "not_loaded",
    "with_arguments",
]
