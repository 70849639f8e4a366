"""Every Python block of the README and of docs/training.md, run as it is printed."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.shared.small_configs import place_as_published, shrink_configs

_ROOT = pathlib.Path(__file__).parent.parent.parent
_NAMED = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)


def _blocks():
    for page in ("README.md", "docs/training.md"):
        text = (_ROOT / page).read_text()
        headings = re.finditer(r"^#+ ([^\n]+)|^```python\n(.*?)^```", text, re.M | re.S)
        heading = ""
        for number, match in enumerate(headings):
            heading = match[1] or heading
            if match[2]:
                yield pytest.param(match[2], id=f"{page}-{heading}-{number}")


@pytest.mark.parametrize("block", _blocks())
def test_block_runs_as_printed(block, build, small_data, tmp_path):
    missing = [name for name in _NAMED.findall(block) if not _is_installed(name)]
    if missing:
        pytest.skip(f"{missing} not installed")
    assert "import imagenet2012_subset" in block

    (tmp_path / "shrink.py").write_text(shrink_configs(small_data))
    if "download_and_prepare" not in block:
        place_as_published(build(data_dir=tmp_path / "built"), tmp_path / "data")
    script = tmp_path / "block.py"
    code = block.replace("/data/imagenet", str(small_data.manual_dir))
    script.write_text(f"import shrink\n{code}")
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
        "TFDS_DATA_DIR": str(tmp_path / "data"),
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    # A loop over batches that has none would run whatever its body says.
    assert done.stdout or "print(" not in block


def _is_installed(module):
    return importlib.util.find_spec(module) is not None
