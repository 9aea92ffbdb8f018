"""The house of the package: who may import whom, what may never be imported, what starting up may cost."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rnncli

ROOT = Path(rnncli.__file__).parent

# From the ground up. A module lives in the room that its name starts with (the longest one): "config" is config/ with
# all its modules, "gradcheck." every part of gradcheck that has no room of its own. It imports from floors
# below its own and from its own room or package. A new module goes to the lowest floor that lets it do its work.
FLOORS: list[set[str]] = [
    {"errors", "blas"},
    {"interruption", "randomness", "machine", "figures", "worded", "pages", "coloured_words", "differing"},
    {"workers", "profiling", "extras"},
    {"packing", "pictures"},
    {"layers"},
    {"optim", "schedules", "averaging", "stacks", "ngrams", "attributions", "baselines", "gradcheck.", "layer_groups"}
    | {"embedded", "penalized", "pooled"},
    {"ngram_counts"},
    {"data", "ngram_inputs"},
    {"tagging_metrics", "language_metrics", "models"},
    {"config"},
    {"start_parts"},
    {"building", "start_facts", "taggers", "language_models", "metrics", "checkpoint", "run_dir", "work"}
    | {"calibration", "comparing", "metrics_file", "budgets", "recipes"},
    {"wide_models", "start_sizes"},
    {"classifiers", "scoring", "language_scoring", "postmortem", "starting", "sharding", "sampling", "event_files"}
    | {"gate_traces", "readings", "thresholds", "start_classifiers"},
    {"team", "classifying", "tagging", "language_modelling", "score_functions", "start_choices"},
    {"training", "tasks", "plan_figures"},
    {"assembly", "trained", "trial", "progress", "recording"},
    {"brief_progress", "joining", "first_weights", "inventory", "predicting", "subjects"},
    {"resuming", "explanations", "gate_pictures"},
    {"run", "verifying", "evaluation", "tagger_evaluation", "language_evaluation", "baseline_evaluation"}
    | {"explaining", "gradcheck", "gradcheck.models", "gradcheck.sequences", "gradcheck.configured", "explain_page"},
    {"ensembles", "exporting", "planning", "seeds", "sweeping"},
    {"run_records", "outcomes", "importing", "start_timing"},
    {"judging"},
    {"side_by_side"},
    {"reporting"},
    {"fitting", "estimator_config"},
    {"api", "sklearn"},
    {"cli"},
    {"__main__", "worker"},
]
MATHEMATICS = {room for floor in FLOORS[3:6] for room in floor} - {"pictures"}  # NumPy only, no files, no config
# Config stops at the builders: everything else takes plain values.
KNOWS_CONFIG = {
    *(
        "config",
        "building",
        "classifiers",
        "taggers",
        "language_models",
        "tasks",
        "run_dir",
        "assembly",
        "trained",
        "inventory",
        "first_weights",
        "joining",
        "predicting",
        "subjects",
        "resuming",
        "run",
        "seeds",
        "sweeping",
        "verifying",
        "evaluation",
        "tagger_evaluation",
        "language_evaluation",
        "baseline_evaluation",
        "ensembles",
        "exporting",
        "importing",
        "planning",
        "run_records",
        "outcomes",
        "start_facts",
        "start_parts",
        "start_timing",
        "starting",
        "reporting",
        "fitting",
        "estimator_config",
        "api",
        "sklearn",
        "cli",
    ),
    *("gradcheck.models", "gradcheck.sequences", "gradcheck.configured"),
}

HEAVY = {"numpy", "pydantic", "yaml", "tqdm", "requests", "pooch", "safetensors", "scipy"}
ONLY_FOR_TESTS = {"pytest", "hypothesis", "sklearn", "scipy", "torch"}
OF_EXTRAS = {"sklearn": {"sklearn"}}  # what a module is there for, and is installed with an extra
RUNS_WHAT_IT_READS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_YAML = {"unsafe_load", "unsafe_load_all", "full_load", "full_load_all", "UnsafeLoader", "FullLoader", "Loader"}
FILES_AND_NETWORK = {"os", "io", "pathlib", "shutil", "tempfile", "json", "csv", "socket", "subprocess", "urllib"}


def module_name(path: Path) -> str:
    """Return the name without the leading ``rnncli.``; the package itself is the empty name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def room_of(name: str) -> str:
    rooms = [room for floor in FLOORS for room in floor if name.startswith(room)]
    assert rooms, f"rnncli.{name} has no place in the house: add it to FLOORS in {Path(__file__).name}"
    return max(rooms, key=len)


def floor_of(name: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room_of(name) in floor)


def imports(source: str, module: str = "") -> Iterator[tuple[str, bool]]:
    """Yield what a source imports, with its full dotted name, and whether that happens while it is imported."""

    def visit(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: count back from the module itself
                parts = ["rnncli", *(module.split(".") if module else [])]
                base = ".".join([*parts[: len(parts) - node.level], *([base] if base else [])])
            yield from ((f"{base}.{alias.name}", at_once) for alias in node.names)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            never = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"  # but by a type checker
            inside = at_once and not (later or never)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, inside)

    yield from visit(ast.parse(source), True)


def own_imports(source: str, module: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules of rnncli that a source imports, by the names of MODULES."""
    for name, at_once in imports(source, module):
        parts = name.split(".")
        if parts[0] == "rnncli":
            inner = ".".join(parts[1:])
            # The last part may be a function or a class of the module rather than a module.
            yield (inner if inner in MODULES else inner.rpartition(".")[0]), at_once


def top_level_imports(source: str) -> set[str]:
    return {name.split(".")[0] for name, _ in imports(source)}


def upward_imports(module: str, source: str) -> list[str]:
    """Return what is wrong with the directions of a module's imports."""
    if not module:
        return []  # the package's face: see test_the_package_itself_imports_nothing_of_its_own
    wrong = []
    for name, _ in own_imports(source, module):
        if not name:
            continue  # the version
        at_home = room_of(name) == room_of(module) or name.split(".")[0] == module.split(".")[0]
        if floor_of(name) > floor_of(module) or (floor_of(name) == floor_of(module) and not at_home):
            wrong.append(f"rnncli.{module} imports rnncli.{name}, which is not on a floor below it")
        if room_of(name) == "config" and room_of(module) not in KNOWS_CONFIG:
            wrong.append(f"rnncli.{module} imports rnncli.{name}: config stops at the builders")
    return wrong


def dangers(source: str) -> list[str]:
    """Return the places where a source could run what it reads."""
    found = []
    tree = ast.parse(source)
    safe_loaders = {"SafeLoader", "CSafeLoader"} | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b).endswith("SafeLoader") for b in node.bases)
    }
    for name, _ in imports(source):
        top, _, last = name.partition(".")
        if top in RUNS_WHAT_IT_READS or (top == "yaml" and last in UNSAFE_YAML):
            found.append(f"imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "yaml" and node.attr in UNSAFE_YAML:
            found.append(f"line {node.lineno}: yaml.{node.attr}")
        if not isinstance(node, ast.Call):
            continue
        called, keywords = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called in {"eval", "exec", "compile", "__import__"}:
            found.append(f"line {node.lineno}: {called}()")
        if called in {"np.load", "numpy.load", "np.lib.format.read_array"} and "allow_pickle" not in keywords:
            found.append(f"line {node.lineno}: {called} without allow_pickle=False")
        if keywords.get("allow_pickle", "False") != "False":
            found.append(f"line {node.lineno}: allow_pickle={keywords['allow_pickle']}")
        if called in {"yaml.load", "yaml.load_all"}:
            loader = keywords.get("Loader") or (ast.unparse(node.args[1]) if len(node.args) > 1 else "none")
            if loader.rpartition(".")[2] not in safe_loaders:
                found.append(f"line {node.lineno}: {called} with the loader {loader}")
    return found


every_module = pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "rnncli")


@every_module
def test_a_module_imports_from_floors_below_it(module):
    assert upward_imports(module, MODULES[module]) == []


@every_module
def test_a_module_reads_nothing_that_could_run(module):
    assert dangers(MODULES[module]) == []


@every_module
def test_a_module_needs_nothing_that_only_the_tests_install(module):
    assert top_level_imports(MODULES[module]) & ONLY_FOR_TESTS <= OF_EXTRAS.get(module, set())


@pytest.mark.parametrize("module", [name for name in MODULES if name and room_of(name) in MATHEMATICS])
def test_the_mathematics_needs_numpy_alone_and_touches_no_file(module):
    source = MODULES[module]
    allowed = (set(sys.stdlib_module_names) - FILES_AND_NETWORK) | {"numpy", "rnncli"}
    assert top_level_imports(source) <= allowed
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert not {ast.unparse(call.func) for call in calls} & {"open", "print", "input"}


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        module: {name for name, at_once in own_imports(source, module) if at_once and name and name != module}
        for module, source in MODULES.items()
    }
    assert sum(len(needed) for needed in graph.values()) > 20
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_package_itself_imports_nothing_of_its_own():
    # Whatever rnncli/__init__.py imports is paid for by `rnncli --help`.
    assert [
        name for name, at_once in imports(MODULES[""]) if at_once and name.split(".")[0] in {"rnncli", *HEAVY}
    ] == []


def modules_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and return the names of all modules it loaded."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_help_costs_no_more_than_click():
    loaded = modules_after("from rnncli.cli import cli; cli.main(['--help'], standalone_mode=False)")
    assert "click" in loaded
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("rnncli.") and name.count(".") > 1} == set()


def test_the_mathematics_comes_without_config_or_command_line():
    loaded = modules_after("import rnncli.layers, rnncli.packing, rnncli.optim")
    assert "numpy" in loaded
    assert loaded & (HEAVY - {"numpy"} | {"click", "rnncli.config", "rnncli.data", "rnncli.cli"}) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("layers.lstm", "from rnncli.data.batches import Batch"),
        ("gradcheck.cells", "from rnncli.gradcheck.models import check_model"),
        ("layers.lstm", "def f():\n    import rnncli.config"),
        ("packing", "from rnncli import layers"),
        ("optim", "from rnncli.layers import softmax\nfrom rnncli import config"),
        ("data.dataset", "from rnncli.config import DataConfig"),
        ("data.dataset", "from ..models import build_model"),
        ("data.readers.jsonl", "from ...training import Trainer"),
        ("training", "from rnncli.config import TrainConfig"),
        ("models", "from rnncli.metrics import accuracy"),
        ("training", "from rnncli.recording import Recorder"),
        ("recording", "from rnncli.resuming import changed_keys"),
        ("run", "from rnncli.cli.train import command"),
    ],
)
def test_an_import_that_goes_up_would_be_found(module, source):
    assert upward_imports(module, source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "import numpy as np\nnp.load('x.npz')",
        "import numpy as np\nnp.load('x.npz', allow_pickle=True)",
        "read(file, allow_pickle=flag)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import yaml\nyaml.load(text, yaml.FullLoader)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.unsafe_load(text)",
        "from yaml import full_load",
        "class Mine(yaml.UnsafeLoader): ...",
        "eval(text)",
        "from joblib import load",
    ],
)
def test_a_danger_would_be_found(source):
    assert dangers(source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickletools",  # takes a pickle apart and runs nothing of it
        "import numpy as np\nnp.load('x.npz', allow_pickle=False)",
        "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)",
        "import yaml\nclass Mine(yaml.SafeLoader): ...\nyaml.load(text, Mine)",
        "model.eval()",
    ],
)
def test_what_is_safe_is_let_through(source):
    assert dangers(source) == []
