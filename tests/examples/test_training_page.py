"""The lines of docs/training.md, each block run as it stands there."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

from tests.shared.small_configs import place_as_published, shrink_configs

_ROOT = pathlib.Path(__file__).parent.parent.parent
_PAGE = (_ROOT / "docs" / "training.md").read_text()
_IMPORTS = """
import sys
import imagenet2012_subset
import numpy as np
import tensorflow_datasets as tfds
tfds.disable_progress_bar()
sys.path.insert(0, {examples!r})
"""
# A batch of the page is more than the small data have.
_BATCHES = r"(batch_size=|Batch\(|\.batch\()128", r"\g<1>2"


def _block(heading):
    section = _PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[0]


@pytest.fixture
def run(build, small_data, tmp_path):
    """Runs code as a script, where the small data stand as 1pct and as 10pct."""
    place_as_published(build(data_dir=tmp_path / "built"), tmp_path / "default")
    imports = _IMPORTS.format(examples=str(_ROOT / "examples"))
    imports += shrink_configs(small_data)

    def run_script(code):
        code = re.sub(*_BATCHES, code)
        code = code.replace("/data/imagenet", str(small_data.manual_dir))
        script = tmp_path / "script.py"
        script.write_text(imports + code)
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(_ROOT),
            "TFDS_DATA_DIR": str(tmp_path / "default"),
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
        return done.stdout

    return run_script


def _needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed")


def test_keras(run):
    model = """
import keras
import tensorflow as tf
model = keras.Sequential(
    [keras.Input((224, 224, 3)), keras.layers.AveragePooling2D(56),
     keras.layers.Flatten(), keras.layers.Dense(1000, "softmax")]
)
model.compile("sgd", "sparse_categorical_crossentropy")
"""
    lines = _block("Keras").replace("epochs=30", "epochs=2")
    assert "loss" in run(model + lines + "print('loss')")


@_needs("torch", "torchvision", "array_record")
def test_pytorch(run):
    after = """
print(source[0]["file_name"])
for _ in range(2):
    print([(tuple(images.shape), str(labels.dtype)) for images, labels in batches])
"""
    printed = run(_block("PyTorch") + after)
    assert printed.count("(2, 3, 224, 224), 'torch.int64'") == 6


@_needs("jax", "grain", "array_record", "cv2", "simplejpeg")
def test_jax(run):
    source = "source" + _block("PyTorch").split("source", 1)[1].split("\n\n\n")[0]
    before = "import grain.python as grain\nfrom jax_grain import random_crop\n"
    after = """
if __name__ == "__main__":
    import absl.flags
    absl.flags.FLAGS.mark_as_parsed()
    print([batch["image"].shape for batch in batches])
"""
    lines = _block("JAX").replace("num_epochs=30", "num_epochs=2")
    lines = lines.replace("worker_count=8", "worker_count=2")
    printed = run(before + source + "\n" + lines + after)
    assert printed.count("(2, 224, 224, 3)") >= 4


def test_few_labels(run):
    before = """
rng, k, ridge = np.random.default_rng(0), 2, 1.0
labels = np.repeat([3, 7, 900], 4)
vectors = rng.normal(size=(12, 5)) + labels[:, None]
mean, scale = vectors.mean(0), vectors.std(0)
"""
    printed = run(before + _block("Few labels") + "print(weights.shape)")
    assert printed == "(6, 3)\n"


def test_some_labels_and_many_images(run):
    before = (
        _block("Keras").split("batches = (")[0]
        + """
import tensorflow as tf
two_views = lambda example: (random_crop(example["image"], 0)[0],) * 2
labelled = tfds.load(
    "imagenet2012_subset/1pct", split="train", as_supervised=True,
    decoders={"image": tfds.decode.SkipDecoding()},
)
"""
    )
    after = """
print(unlabelled.element_spec)
(images, labels), (weak, strong) = next(iter(batches))
print(images.shape, labels.shape, weak.shape, strong.shape)
"""
    printed = run(before + _block("Some labels and many images") + after)
    assert "label" not in printed.splitlines()[0]
    of_ten = "(448, 224, 224, 3)"
    assert printed.splitlines()[1] == f"(64, 224, 224, 3) (64,) {of_ten} {of_ten}"
