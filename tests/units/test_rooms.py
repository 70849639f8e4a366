"""The package's rooms: each imports what stands below it, and does its own work only.

What each folder's `__init__.py` says of itself is held here, by reading the source.
"""

from __future__ import annotations

import ast
import graphlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

import imagenet2012_subset

_PACKAGE = "imagenet2012_subset"
_TOP = pathlib.Path(imagenet2012_subset.__file__).parent

# What a room may import besides itself. Modules without a folder are rooms as well.
_GROUND = {"errors", "tfds_internals", "version"}
_MAY_IMPORT = {
    "errors": set(),
    "tfds_internals": set(),
    "version": set(),
    "imagenet": {"errors"},
    "storage": {"errors"},
    "tar": {"errors", "storage"},
    "find": {"imagenet", "storage", "tar"} | _GROUND,
    "choose": {"find", "imagenet"} | _GROUND,
    "plan": {"find", "imagenet"} | _GROUND,
    "write": {"choose", "find", "plan", "storage"} | _GROUND,
    "check": {"choose", "find", "imagenet", "plan", "storage", "tar"} | _GROUND,
    "registration": {"storage"} | _GROUND,
    f"{_PACKAGE}_dataset_builder": {
        "choose",
        "find",
        "imagenet",
        "plan",
        "read",
        "registration",
        "write",
    }
    | _GROUND,
    "read": set(),
    "page": {"choose", "imagenet", f"{_PACKAGE}_dataset_builder"} | _GROUND,
    "__init__": {"choose", "imagenet", f"{_PACKAGE}_dataset_builder"} | _GROUND,
    "__main__": {"__init__", "check", "page"} | _GROUND,
}

# The operating system's calls on files and folders, as attributes of a module.
_SYSTEM_CALLS = {
    "os": {
        "chmod", "close", "fdatasync", "fdopen", "fsync", "ftruncate", "link",
        "listdir", "makedirs", "mkdir", "open", "posix_fadvise", "pread", "preadv",
        "pwrite", "read", "readlink", "remove", "removedirs", "rename", "renames",
        "replace", "rmdir", "scandir", "sendfile", "stat", "statvfs", "symlink",
        "sync", "truncate", "unlink", "utime", "walk", "write",
    },
    "shutil": {
        "copy", "copy2", "copyfile", "copytree", "disk_usage", "move", "rmtree",
    },
    "io": {"FileIO", "open", "open_code"},
    "mmap": {"mmap"},
    "ctypes": {"CDLL"},
    "tempfile": {
        "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp",
        "mkstemp",
    },
}  # fmt: skip
# Methods by which a path is read, or written, or changed.
_READS = {"open", "read_bytes", "read_text"}
_CHANGES = {
    "hardlink_to", "mkdir", "rename", "replace", "rmdir", "rmtree", "symlink_to",
    "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip
# Which modules may call these, of `etils.epath`: not on what a dataset is made of, but
# on a list, a kept index, ImageNet's own text files.
_MAY_READ = {
    "choose/subset_list.py",
    "check/archives.py",
    "check/files.py",
    "find/kept_index.py",
    "imagenet/class_names.py",
    "imagenet/names.py",
    "page/replace.py",
}
# The page is no part of a dataset: its own file is written, and replaced, by its room.
_MAY_CHANGE = {"find/kept_index.py", "page/replace.py", "storage/held_folder.py"}


class Breach(NamedTuple):
    """What a module does that it should not."""

    module: str
    line: int
    what: str


def breaches(module: str, source: str) -> list[Breach]:
    """Judges the source of a module, given its path below the package's folder."""
    found = []
    tree = ast.parse(source)
    for line, name in _imports(module, tree):
        if what := _wrong_import(module, name):
            found.append(Breach(module, line, what))
    for line, call in _calls(tree):
        if what := _wrong_call(module, call):
            found.append(Breach(module, line, what))
    return found


def _room(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


def _room_of_import(name: str) -> str | None:
    """Returns the room that a dotted name is in; None if it is no part of ours."""
    first, *rest = name.split(".")
    if first != _PACKAGE:
        return None
    room = rest[0] if rest else "__init__"
    is_room = (_TOP / room).is_dir() or (_TOP / f"{room}.py").exists()
    return room if is_room else "__init__"  # A name that `__init__` exports.


def _imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            folder = [_PACKAGE, *module.split("/")[:-1]]
            base = node.module or ""
            if node.level:
                parents = folder[: len(folder) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _wrong_import(module: str, name: str) -> str | None:
    room = _room(module)
    imported = _room_of_import(name)
    if imported is None:
        if _is_private_of_tfds(name) and room != "tfds_internals":
            return f"imports {name}, which is not TFDS's public API"
        return None
    if imported != room and imported not in _MAY_IMPORT[room]:
        return f"{room} imports {imported}"
    return None


def _is_private_of_tfds(name: str) -> bool:
    return name.startswith("tensorflow_datasets.")


def _calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields what is called or handed on, with its module's own name if that is known.

    `from os import pread as p` and `import os as o; o.pread` are both `os.pread`.
    """
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in known:
                yield node.lineno, f"{known[node.value.id]}.{node.attr}"
            else:
                yield node.lineno, f".{node.attr}"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.lineno, known.get(node.id, node.id)


def _wrong_call(module: str, call: str) -> str | None:
    owner, _, name = call.rpartition(".")
    room = _room(module)
    if (module, call) in _OTHER_MEANINGS:
        return None
    if call == "open" or name in _SYSTEM_CALLS.get(owner, ()):
        return None if room == "storage" else f"calls {call}; storage alone does"
    if owner == "" and call.startswith("."):
        if name in _READS and room not in ("storage", "write"):
            return None if _may(module, name, _MAY_READ) else f"reads by {call}"
        if name in _CHANGES and room != "write":
            return None if _may(module, name, _MAY_CHANGE) else f"changes by {call}"
    return None


def _may(module: str, name: str, modules: set[str]) -> bool:
    # `str.replace` has the name of a change, `TarOrigin.open` that of a read; a module
    # says which it means by what it calls it on, which the source alone cannot tell.
    return module in modules or (module, name) in _OTHER_MEANINGS


_OTHER_MEANINGS = {
    ("choose/subset_list.py", "replace"),  # Of a string.
    ("page/svg.py", "replace"),
    ("storage/remote/paths.py", "rmtree"),  # What a copy that failed left at a store.
    (
        "storage/remote/upload.py",
        "unlink",
    ),  # Of what it put there.
    ("write/attempt.py", "tempfile.TemporaryDirectory"),  # Of a shard to be uploaded.
    ("write/asked.py", "tempfile.NamedTemporaryFile"),  # Of a list from the web.
    ("page/write.py", "replace"),
    ("read/record_server.py", "os.fdopen"),  # Of its standard output.
}


def _modules() -> list[str]:
    return sorted(path.relative_to(_TOP).as_posix() for path in _TOP.rglob("*.py"))


@pytest.mark.parametrize("module", _modules())
def test_each_module_keeps_to_its_room(module):
    assert breaches(module, (_TOP / module).read_text()) == []


def test_each_room_is_known():
    assert {_room(module) for module in _modules()} <= set(_MAY_IMPORT)


def test_each_folder_says_what_it_is_for():
    folders = {module.rpartition("/")[0] for module in _modules()} - {""}
    for folder in folders:
        tree = ast.parse((_TOP / folder / "__init__.py").read_text())
        docstring = ast.get_docstring(tree)
        assert docstring, folder
        assert len(tree.body) == 1, f"{folder}/__init__.py does more than tell"


def test_no_rule_leads_in_a_circle():
    list(graphlib.TopologicalSorter(_MAY_IMPORT).static_order())


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Returns for each module which others it imports, given sources by path."""
    graph = {}
    for module, source in sources.items():
        name = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        graph[name] = {
            other
            for _, imported in _imports(module, ast.parse(source))
            for other in _modules_of(imported)
        }
    return graph


def test_no_imports_lead_in_a_circle():
    sources = {module: (_TOP / module).read_text() for module in _modules()}
    graph = import_graph(sources)
    assert "storage.queue" in graph["storage.file"]
    list(graphlib.TopologicalSorter(graph).static_order())


def test_a_circle_within_a_room_is_noticed():
    sources = {
        "storage/file.py": f"from {_PACKAGE}.storage.queue import ReadQueue",
        "storage/queue.py": "def late():\n    from . import file",
    }
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(import_graph(sources)).static_order())


def _modules_of(name: str) -> Iterator[str]:
    """Yields the module of ours that a dotted name is, or is in."""
    parts = name.split(".")[1:] if name.split(".")[0] == _PACKAGE else []
    for end in (len(parts), len(parts) - 1):
        if end > 0 and (_TOP / "/".join(parts[:end])).with_suffix(".py").exists():
            yield ".".join(parts[:end])
            return


@pytest.mark.parametrize(
    ("module", "source", "what"),
    [
        ("errors.py", f"from {_PACKAGE}.storage import file", "errors imports storage"),
        ("storage/file.py", f"import {_PACKAGE}.tar.headers", "storage imports tar"),
        (
            "storage/file.py",
            f"from {_PACKAGE}.imagenet.names import wnid",
            "storage imports imagenet",
        ),
        ("tar/walk.py", f"from {_PACKAGE} import find", "tar imports find"),
        ("tar/walk.py", "from ..find.source import Source", "tar imports find"),
        ("tar/walk.py", f"from {_PACKAGE}.imagenet import names", "tar imports imagen"),
        ("find/images.py", f"from {_PACKAGE}.plan import splits", "find imports plan"),
        ("find/images.py", f"from {_PACKAGE} import Builder", "find imports __init__"),
        ("choose/select.py", f"from {_PACKAGE}.tar import walk", "choose imports tar"),
        ("plan/splits.py", f"from {_PACKAGE}.storage import open", "plan imports stor"),
        ("write/shard.py", f"from {_PACKAGE}.check import report", "write imports ch"),
        ("check/report.py", f"from {_PACKAGE}.write import shard", "check imports wri"),
        (
            "find/source.py",
            "def late():\n    from imagenet2012_subset.write import shard",
            "find imports write",
        ),
        (
            "write/shard.py",
            "from tensorflow_datasets.core.writer import Writer",
            "not TFDS's public API",
        ),
        ("plan/splits.py", "data = open('x').read()", "calls open"),
        ("plan/splits.py", "path.read_bytes()", "reads by .read_bytes"),
        ("find/tar_archive.py", "import os\nos.pread(1, 2, 3)", "calls os.pread"),
        ("find/tar_archive.py", "import os as o\no.open('x', 0)", "calls os.open"),
        ("find/tar_archive.py", "from os import preadv as p\np(1)", "calls os.preadv"),
        ("find/tar_archive.py", "import io\nio.open('x')", "calls io.open"),
        ("write/splits.py", "import os\nos.fsync(3)", "calls os.fsync"),
        (
            "write/splits.py",
            "import os, functools\nfunctools.partial(os.fsync, 3)",
            "calls os.fsync",
        ),
        ("write/splits.py", "import shutil\nshutil.disk_usage('.')", "calls shutil.di"),
        ("check/dataset.py", "folder.rmtree()", "changes by .rmtree"),
        ("find/manual_dir.py", "path.unlink()", "changes by .unlink"),
    ],
)
def test_what_breaks_a_rule_is_noticed(module, source, what):
    (breach,) = breaches(module, source)
    assert breach.module == module
    assert what in breach.what


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("storage/local_file.py", "import os\nos.pread(os.open('x', 0), 1, 2)"),
        ("tfds_internals.py", "from tensorflow_datasets.core import registered"),
        ("write/final_place.py", "path.rename(other)\npath.rmtree()"),
        ("find/kept_index.py", "path.open('rb')\npath.replace(other)"),
        ("find/images.py", "import tensorflow_datasets as tfds\ntfds.core.Version"),
        ("write/shard.py", f"from {_PACKAGE}.plan.splits import ShardPlan"),
        ("__main__.py", f"from {_PACKAGE} import Builder, DatasetError"),
    ],
)
def test_what_keeps_the_rules_is_left_alone(module, source):
    assert breaches(module, source) == []
