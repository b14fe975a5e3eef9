"""Plugins that are broken in every way there is, each with what a report should say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Broken:
    """The source of a plugin, and its failure: the phase, what is named, and a part of the reason."""

    source: str
    phase: str
    name: str
    reason: str

    @property
    def guides(self) -> tuple[str, ...]:
        """The guides to ask for, so that it is met."""
        return (self.name,) if self.phase not in ("import", "hook", "metric", "section") else ()


def guide(name: str, body: str, more: str = "") -> str:
    """Return a plugin with one guide, whose `build` has this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"""
def build(model):
{lines}

@hookimpl
def guidebench_guides():
    yield Guide(name={name!r}, build=build, {more})
"""


NORMAL = """
def guide(y=None):
    loc = numpyro.param("loc", 0.0)
    numpyro.sample("w", dist.Normal(loc, 1.0))
    numpyro.sample("s", dist.LogNormal(numpyro.param("log_s", 0.0), 0.5))
"""

#: A guide as NORMAL is, with something done to it.
WORKS = NORMAL + "return guide"


def metric(body: str) -> str:
    """Return a plugin with one metric."""
    return f"""
def compute(evidence):
    {body}
    yield MetricValue(value=0.0)

@hookimpl
def guidebench_metrics():
    yield Metric(name="oddness", compute=compute)
"""


def section(body: str) -> str:
    """Return a plugin with one section, which comes before all others."""
    return f"""
def build(page):
    {body}
    return None

@hookimpl
def guidebench_sections():
    yield Section(name="oddities", title="Oddities", build=build, order=1)
"""


#: By the name of the distribution; the plugin is called the same with underscores.
BROKEN: Mapping[str, Broken] = {
    "acme-import": Broken(
        'raise ImportError("this plugin needs libfoo")', "import", "", "failed on import with ImportError"
    ),
    "acme-exit": Broken("raise SystemExit(3)", "import", "", "failed on import with SystemExit: 3"),
    "acme-misspelled": Broken(
        guide("misspelled", WORKS).replace("guidebench_guides", "guidebench_guide"),
        "hook",
        "guidebench_guide",
        "did you mean 'guidebench_guides'?",
    ),
    "acme-hook": Broken(
        "@hookimpl\ndef guidebench_guides():\n    raise OSError('no disk')\n    yield",
        "hook",
        "guidebench_guides",
        "raised OSError: no disk",
    ),
    "acme-hook-exit": Broken(
        "@hookimpl\ndef guidebench_metrics():\n    raise SystemExit('bye')\n    yield",
        "hook",
        "guidebench_metrics",
        "raised SystemExit: bye",
    ),
    "acme-supports": Broken(
        guide("unsure", WORKS, "supports=lambda structure: structure.no_such_thing"),
        "supports",
        "unsure",
        "AttributeError",
    ),
    "acme-build": Broken(
        guide("unfinished", 'raise RuntimeError("the weights file is missing")'),
        "build",
        "unfinished",
        "RuntimeError: the weights file is missing",
    ),
    "acme-build-exit": Broken(guide("leaver", "raise SystemExit(3)"), "build", "leaver", "SystemExit: 3"),
    "acme-none": Broken(guide("nothing", "return 3"), "build", "nothing", "TypeError: build must return a guide"),
    "acme-missing": Broken(
        guide("partial", 'return lambda y=None: numpyro.sample("w", dist.Normal(numpyro.param("m", 0.0), 1.0))'),
        "train",
        "partial",
        "ValueError: the guide lacks the model's latent site(s) s",
    ),
    "acme-support": Broken(
        guide("unbounded", WORKS.replace("LogNormal", "Normal")),
        "train",
        "unbounded",
        "the loss or the parameters were not finite in any of 1 starts",
    ),
    "acme-shape": Broken(
        guide("wide", WORKS.replace("Normal(loc, 1.0)", "Normal(loc * jnp.ones(3), 1.0)")),
        "density",
        "wide",
        "draws of w have the shape (3,), those of the model ()",
    ),
    "acme-nan": Broken(
        guide("hopeless", WORKS.replace("Normal(loc, 1.0)", "Normal(jnp.sqrt(loc * loc), 1.0)")),
        "train",
        "hopeless",
        "the loss or the parameters were not finite in any of 1 starts",
    ),
    "acme-draw": Broken(
        guide("undrawn", WORKS, "draw=lambda guide, params: params['no such parameter']"),
        "draw",
        "undrawn",
        "KeyError: 'no such parameter'",
    ),
    "acme-density": Broken(
        "def infinite(y=None):\n"
        "    numpyro.sample('w', dist.Normal(0.0, jnp.inf))\n"
        "    numpyro.sample('s', dist.LogNormal(0.0, 0.5))\n"
        + guide("infinite", WORKS, "draw=lambda guide, params: infinite"),
        "density",
        "infinite",
        "log p or log q is not finite for 100.0% of its draws",
    ),
    "acme-metric": Broken(
        metric("raise ZeroDivisionError('no draws left')"), "metric", "oddness", "ZeroDivisionError: no draws left"
    ),
    "acme-writing-metric": Broken(
        metric('evidence.latents["w"][:] = 0').replace("oddness", "writing"), "metric", "writing", "ValueError: "
    ),
    "acme-section": Broken(
        section("raise LookupError('no such figure')"), "section", "oddities", "LookupError: no such figure"
    ),
    "acme-writing-section": Broken(
        section('page.group(page.drawn[0], "posterior")["w"].values[:] = 0').replace("oddities", "writings"),
        "section",
        "writings",
        "ValueError: ",
    ),
}


#: Changes whatever a process shares.
VANDALISE = """
def vandalise():
    import io, matplotlib, os, random, sys, warnings
    np.random.seed(1)
    random.seed(1)
    np.seterr(all="raise")
    np.seterrcall(print)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_prng_impl", "rbg")
    jax.config.update("jax_default_matmul_precision", "bfloat16")
    jax.default_matmul_precision("bfloat16").__enter__()
    numpyro.enable_x64()
    numpyro.enable_validation()
    numpyro.set_platform("cpu")
    numpyro.handlers.mask(mask=False).__enter__()
    warnings.simplefilter("error")
    warnings.showwarning = print
    warnings.catch_warnings().__enter__()
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.pop("PATH", None)
    os.chdir("/")
    matplotlib.rcParams["font.size"] = 40
    matplotlib.rcParams["axes.facecolor"] = "black"
    sys.stdout = sys.stderr = io.StringIO()
"""

#: Does so wherever it is called, and works otherwise as far as that lets it.
VANDAL = (
    VANDALISE
    + """
vandalise()

def supports(structure):
    vandalise()

def build(model):
    vandalise()
    def guide(y=None):
        numpyro.sample("w", dist.Normal(numpyro.param("loc", 0.0), 1.0))
        numpyro.sample("s", dist.LogNormal(numpyro.param("log_s", 0.0), 0.5))
        vandalise()
    return guide

def build_quietly(model):
    vandalise()
    return lambda y=None: [
        numpyro.sample("w", dist.Normal(numpyro.param("loc", 0.0), 1.0)),
        numpyro.sample("s", dist.LogNormal(numpyro.param("log_s", 0.0), 0.5)),
    ]

def draw(guide, params):
    vandalise()
    return guide

def objective(particles):
    vandalise()
    return numpyro.infer.Trace_ELBO(particles)

@hookimpl
def guidebench_guides():
    vandalise()
    yield Guide(name="vandal", build=build, supports=supports)
    yield Guide(name="quiet_vandal", build=build_quietly, draw=draw, objective=objective)

def compute(evidence):
    vandalise()
    yield MetricValue(value=0.0)

@hookimpl
def guidebench_metrics():
    vandalise()
    yield Metric(name="vandalism", compute=compute)

def show(page):
    vandalise()

@hookimpl
def guidebench_sections():
    vandalise()
    yield Section(name="vandalism", title="Vandalism", build=show, order=1)
"""
)

#: Never comes back, neither from its guide nor from its section; another guide of its is never in the way.
ENDLESS = """
def without_end(*_, **__):
    while True:
        try:
            sum(range(1000))
        except Exception:
            pass

@hookimpl
def guidebench_guides():
    yield Guide(name="endless", build=lambda model: without_end)
    yield Guide(name="refusing", build=lambda model: None, supports=lambda structure: "it is not for this")

@hookimpl
def guidebench_sections():
    yield Section(name="tower", title="A tower", build=without_end)
"""
