"""Plugins that misbehave while others are to be compared, each with the phase and the reason that it is named with.

Those of :data:`HERE` do so in the process of the run and leave it standing; those of :data:`APART` take their process
with them, and need one of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.isolation.broken import WORKS, Broken, guide, metric, section

PUT_BACK = "was replaced, and put back"


def build(name: str, does: str) -> str:
    return guide(name, f"{does}\n{WORKS}")


def traced(name: str, does: str) -> str:
    """Return a plugin whose guide does something each time it is traced."""
    return guide(name, WORKS.replace('loc = numpyro.param("loc", 0.0)', f'{does}; loc = numpyro.param("loc", 0.0)'))


def later(name: str, does: str) -> str:
    """Return a plugin whose guide does something from its third trace on."""
    counted = f"CALLS = []\ndef later():\n    CALLS.append(1)\n    if len(CALLS) > 2:\n        {does}\n"
    return counted + traced(name, "later()")


RUDE = "class Rude(BaseException):\n    def __str__(self):\n        raise ValueError('no')\n    __repr__ = __str__\n"

HERE: Mapping[str, Broken] = {
    # What ends a program
    "acme-exit-0": Broken(build("exit_0", "raise SystemExit(0)"), "build", "exit_0", "SystemExit: 0"),
    "acme-leave": Broken(build("leave", "import os; os._exit(0)"), "build", "leave", "SystemExit: 0"),
    "acme-quit": Broken(traced("quitter", "quit()"), "train", "quitter", "SystemExit"),
    "acme-leave-traced": Broken(traced("leaver_2", "__import__('os')._exit(0)"), "train", "leaver_2", "SystemExit: 0"),
    "acme-base": Broken(RUDE + build("base", "raise Rude"), "build", "base", "Rude: it cannot be told why"),
    "acme-generator": Broken(build("generator", "raise StopIteration"), "build", "generator", "StopIteration"),
    "acme-exit-metric": Broken(
        metric("raise SystemExit(0)").replace("oddness", "exits"), "metric", "exits", "SystemExit: 0"
    ),
    "acme-exit-section": Broken(
        section("raise SystemExit(0)").replace("oddities", "exits"), "section", "exits", "SystemExit: 0"
    ),
    "acme-leave-section": Broken(
        section("import os; os._exit(0)").replace("oddities", "leaves"), "section", "leaves", "SystemExit: 0"
    ),
    "acme-import-base": Broken(RUDE + "raise Rude", "import", "", "Rude: it cannot be told why"),
    "acme-import-leave": Broken("import os; os._exit(0)", "import", "", "SystemExit: 0"),
    # What others compute with
    "acme-patch-density": Broken(
        build("density", "dist.Normal.log_prob = lambda self, value: value * 0.0"),
        "train",
        "density",
        f"numpyro.distributions.continuous.Normal.log_prob {PUT_BACK}",
    ),
    "acme-patch-jax": Broken(
        build("exponential", "jnp.exp = jax.numpy.exp2"), "train", "exponential", f"jax.numpy.exp {PUT_BACK}"
    ),
    "acme-patch-numpy": Broken(
        guide("mean", WORKS, "supports=lambda structure: setattr(np, 'mean', np.sum)"),
        "supports",
        "mean",
        f"numpy.mean {PUT_BACK}",
    ),
    "acme-patch-sample": Broken(
        "numpyro.sample = print\n" + guide("samples", WORKS), "import", "", f"numpyro.sample {PUT_BACK}"
    ),
    "acme-patch-hook": Broken(
        "@hookimpl\ndef guidebench_metrics():\n    jax.random.normal = jax.random.uniform\n    return []",
        "hook",
        "guidebench_metrics",
        f"jax.random.normal {PUT_BACK}",
    ),
    "acme-patch-code": Broken(
        build("code", "numpyro.infer.SVI.update.__code__ = (lambda self, *args, **kwargs: 0).__code__"),
        "train",
        "code",
        f"numpyro.infer.svi.SVI.update {PUT_BACK}",
    ),
    "acme-patch-builtin": Broken(
        metric("import builtins; builtins.sum = max").replace("oddness", "sums"),
        "metric",
        "sums",
        f"builtins.sum {PUT_BACK}",
    ),
    "acme-delete": Broken(build("deletes", "del jax.lax.scan"), "build", "deletes", f"jax.lax.scan {PUT_BACK}"),
    "acme-patch-section": Broken(
        section("np.asarray = print").replace("oddities", "arrays"), "section", "arrays", f"numpy.asarray {PUT_BACK}"
    ),
    # What comes late, and what does not fit
    "acme-later": Broken(later("later", "{}['later']"), "train", "later", "KeyError: 'later'"),
    "acme-later-exit": Broken(later("later_exit", "raise SystemExit(0)"), "train", "later_exit", "SystemExit: 0"),
    "acme-deep": Broken(
        "def deep():\n    return deep() + 1\n" + build("deep", "deep()"), "build", "deep", "RecursionError"
    ),
    "acme-memory": Broken(build("greedy", "np.ones(10**15)"), "build", "greedy", "Unable to allocate"),
    "acme-memory-traced": Broken(traced("greedy_2", "np.ones(10**15)"), "train", "greedy_2", "Unable to allocate"),
    "acme-arguments": Broken(
        guide("arguments", "return lambda no_such_argument: None"), "train", "arguments", "the guide lacks"
    ),
    "acme-text": Broken(guide("text", WORKS.replace("Normal(loc, 1.0)", "Normal('a', 1.0)")), "train", "text", "Error"),
    "acme-draw-object": Broken(
        guide("object", WORKS, "draw=lambda guide, params: object()"), "draw", "object", "Error"
    ),
    "acme-message": Broken(
        build("message", r"raise ValueError('\x1b[31mred\udcff\n\u202eline')"),
        "build",
        "message",
        r"ValueError: \x1b[31mred\udcff \u202eline",
    ),
    "acme-metric-text": Broken(
        metric("yield MetricValue(value='many')").replace("oddness", "many"), "metric", "many", "Error"
    ),
    "acme-metric-other": Broken(metric("yield 3").replace("oddness", "three"), "metric", "three", "Error"),
    "acme-section-other": Broken(
        section("return object()").replace("oddities", "object"), "section", "object", "Error"
    ),
}

#: A guide that works and leaves everything else in disorder.
DISORDER = """
import gc, os, signal, sys, threading

def disorder():
    sys.path.clear()
    sys.meta_path.clear()
    sys.setrecursionlimit(200)
    sys.settrace(lambda *_: None)
    sys.excepthook = sys.unraisablehook = threading.excepthook = print
    gc.disable()
    os.umask(0o777)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    if os.fork() == 0:
        raise SystemExit(0)
""" + build("disorder", "disorder()")

#: A compiled loop that nothing ends.
ENDLESS = "jax.lax.while_loop(lambda i: i < 1.0, lambda i: i * 0.5, 0.0)"

#: These take their process with them: phase, and a part of what is said.
APART: Mapping[str, Broken] = {
    "acme-kill": Broken(
        build("kill", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), "train", "kill", "killed by SIGKILL"
    ),
    "acme-segfault": Broken(
        traced("segfault", "__import__('ctypes').string_at(0)"), "train", "segfault", "killed by SIGSEGV"
    ),
    "acme-abort": Broken(build("abort", "import os; os.abort()"), "train", "abort", "killed by SIGABRT"),
    "acme-alarm": Broken(
        build("alarm", "import signal, time; signal.alarm(1); time.sleep(9)"),
        "build",
        "alarm",
        "took longer than the time limit",
    ),
    "acme-worker-exit": Broken(build("gone", "import os; os._exit(0)"), "train", "gone", "ended with exit status 0"),
    "acme-descriptors": Broken(
        build("descriptors", "import os; os.closerange(0, 4096)"), "train", "descriptors", "its process"
    ),
    "acme-xla": Broken(
        guide(
            "xla", WORKS.replace("loc, 1.0", "loc + jax.lax.while_loop(lambda i: i < 1.0, lambda i: i * 0.5, 0.0), 1.0")
        ),
        "train",
        "xla",
        "took longer than the time limit",
    ),
    "acme-python": Broken(
        build("python", "while True:\n    try:\n        sum(range(1000))\n    except BaseException:\n        pass"),
        "train",
        "python",
        "took longer than the time limit",
    ),
}
