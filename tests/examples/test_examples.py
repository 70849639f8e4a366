"""Each example, as a user runs it: on the dummy data, and on an existing dataset."""

import importlib.util
import os
import pathlib
import re
import statistics
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from tests.shared import archives
from tests.shared.small_configs import place_as_published, shrink_configs

_ROOT = pathlib.Path(__file__).parent.parent.parent
_EXAMPLES = _ROOT / "examples"


def _needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed")


@pytest.fixture
def run(tmp_path):
    """Runs an example in a separate process and returns what it printed."""

    def run_example(name, *options):
        environment = dict(
            os.environ,
            PYTHONPATH=f"{tmp_path}:{_ROOT}",
            TFDS_DATA_DIR=str(tmp_path / "default"),
        )
        done = subprocess.run(
            [sys.executable, str(_EXAMPLES / name), *map(str, options)],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_example


@pytest.fixture
def examples(monkeypatch):
    """Imports an example as a module, as the examples import each other."""
    monkeypatch.syspath_prepend(str(_EXAMPLES))
    return importlib.import_module


def _figures(pattern, printed):
    return [float(figure) for figure in re.findall(pattern, printed)]


def _settled(figures):
    """Returns the median of the last third, as a single crop may show nothing."""
    return statistics.median(figures[-max(1, len(figures) // 3) :])


def _assert_learns(losses, start):
    assert _settled(losses) < 1 < start < losses[0]


@pytest.mark.parametrize("options", [[], ["--in_memory"]])
def test_keras_finetune_learns(run, options):
    printed = run("keras_finetune.py", *options)
    _assert_learns(_figures(r" loss: (\S+)", printed), 6)
    assert _figures(r" accuracy: (\S+)", printed)[-1] >= 0.8
    assert _figures(r" val_accuracy: (\S+)", printed)[-1] >= 0.7


@_needs("torch", "torchvision", "array_record")
def test_torch_train_learns(run):
    printed = run("torch_train.py")
    _assert_learns(_figures(r"loss (\S+)", printed), 6)
    assert _figures(r"validation: (\S+)%", printed)[0] >= 70
    # Both use the same dataset.
    assert "val_loss" in run("keras_finetune.py", "--epochs", 1)


@_needs("jax", "grain", "array_record", "cv2", "simplejpeg")
def test_jax_grain_learns_on_several_devices(run, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=5")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    printed = run("jax_grain.py")
    _assert_learns(_figures(r"loss (\S+)", printed), 1.5)
    assert _figures(r"validation: (\S+)%", printed)[0] >= 70


def test_few_shot_learns_more_from_more(run):
    printed = run("few_shot.py")
    accuracies = _figures(r"k=\d+: (\S+)%", printed)
    assert len(accuracies) == 2
    assert 60 < accuracies[0] < accuracies[1]
    spreads = _figures(r"\+- (\S+)%", printed)
    assert spreads[0] > 0


def test_semi_supervised_learns_and_becomes_sure(run):
    printed = run("semi_supervised.py")
    _assert_learns(_figures(r"loss (\S+) with labels", printed), 2)
    sure = _figures(r"sure of (\d+)%", printed)
    assert sure[0] < 30 < _settled(sure)
    # The images without labels contributed.
    assert max(_figures(r"(\S+) without", printed)) > 0
    assert _figures(r"validation: (\S+)%", printed)[0] >= 70


def test_an_existing_dataset_is_used(run, build, small_data, tmp_path):
    data_dir = place_as_published(build(data_dir=tmp_path / "small"), tmp_path / "data")
    # Python imports it when it starts.
    (tmp_path / "sitecustomize.py").write_text(shrink_configs(small_data))
    printed = run("few_shot.py", "--data_dir", data_dir, "--test", "validation")
    assert len(_figures(r"k=\d+: (\S+)%", printed)) == 2
    assert "downloaded" not in printed
    printed = run("keras_finetune.py", "--data_dir", data_dir, "--batch_size", 3)
    losses = _figures(r" loss: (\S+)", printed)
    assert losses[-1] < losses[0]


def test_an_error_without_dataset_and_archives(run, tmp_path):
    with pytest.raises(AssertionError, match="ManualDirError"):
        run("keras_finetune.py", "--data_dir", tmp_path, "--manual_dir", tmp_path)


def test_few_shot_takes_a_saved_model(run, tmp_path):
    features = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(16),
            keras.layers.Flatten(),
        ]
    )
    features.save(tmp_path / "features.keras")
    printed = run("few_shot.py", "--backbone", "features.keras", "--k", 2)
    assert _figures(r"k=2: (\S+)%", printed)[0] > 60


def test_application_of_keras_is_a_backbone(examples):
    make_backbone = examples("keras_finetune").make_backbone
    backbone = make_backbone("MobileNetV3Small", None, 64)
    assert backbone(np.zeros((2, 64, 64, 3))).shape == (2, 576)


def test_unlabelled_images_come_without_labels(examples, build):
    semi_supervised = examples("semi_supervised")
    builder = build()
    batches = semi_supervised.training_batches(builder, builder, 32, 2, ratio=3)
    (images, labels), views = batches.element_spec
    assert [images.shape[1:], labels.shape[1:]] == [(32, 32, 3), ()]
    assert [view.shape[1:] for view in views] == [(32, 32, 3)] * 2
    (_, labels), (weak, strong) = next(iter(batches))
    assert len(labels) == 2
    assert len(weak) == len(strong) == 6
    assert 0 <= np.min(strong) <= np.max(strong) <= 255


def test_no_image_is_drawn_twice(examples):
    few_shot = examples("few_shot")
    labels = np.repeat([3, 5, 900], [4, 6, 2])
    drawn = few_shot.draw(labels, 2, np.random.default_rng(0))
    assert len(set(drawn)) == 6
    assert sorted(labels[drawn]) == [3, 3, 5, 5, 900, 900]


def _halves(width, height):
    """A JPEG whose left half is black and whose right half is white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return archives.encode(Image.fromarray(pixels))


_JAX_CROPS = _needs("jax", "grain", "cv2", "simplejpeg")


@_JAX_CROPS
@pytest.mark.parametrize("shape", [(200, 100), (100, 200), (64, 64), (33, 500)])
def test_central_crops_of_tensorflow_and_opencv_are_the_same(examples, shape):
    in_graph, opencv = examples("tf_crops"), examples("jax_grain")
    jpeg = _halves(*shape)
    centre = opencv.central_crop(jpeg, 32)
    assert centre.shape == (32, 32, 3)
    assert centre.dtype == np.uint8
    difference = in_graph.central_crop(jpeg, 32) - centre.astype(float)
    # They differ by half a pixel, and in the pixels between the halves.
    assert np.abs(difference[:, :12]).max() < 40
    assert np.abs(difference[:, 20:]).max() < 40


@_needs("torch", "torchvision", "array_record")
def test_crops_of_torchvision_have_a_common_size(build, tmp_path):
    """Runs in a process without TensorFlow, next to which torch may crash."""
    builder = build(file_format="array_record")
    code = f"""
import sys
sys.path.insert(0, {str(_EXAMPLES)!r})
import tensorflow_datasets as tfds
import imagenet2012_subset
from torch_train import Crops
builder = tfds.builder_from_directory({str(builder.data_path)!r})
for training in (True, False):
    crops = Crops(builder, "train", 32, training)
    for image, label in crops.__getitems__(range(len(crops))):
        assert (image.shape, str(image.dtype)) == ((3, 32, 32), "torch.uint8")
        assert 0 <= label < 1000
assert "tensorflow" not in sys.modules
"""
    environment = dict(os.environ, PYTHONPATH=str(_ROOT))
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_images_kept_in_memory_have_the_size_for_evaluation(examples):
    decode_small = examples("tf_crops").decode_small
    image = decode_small(_halves(600, 400), 224).numpy()
    assert image.shape == (256, 384, 3)
    assert image.dtype == np.uint8
    assert image[:, :180].max() < 30
    assert image[:, 204:].min() > 225
    assert decode_small(_halves(50, 40), 224).shape == (40, 50, 3)


@pytest.mark.parametrize(
    ("maker", "function"),
    [
        ("tf_crops", "random_crop"),
        ("tf_crops", "random_crop_of_decoded"),
        pytest.param("jax_grain", "random_crop", marks=_JAX_CROPS),
    ],
)
def test_random_crops_vary_and_some_are_mirrored(examples, maker, function):
    jpeg = _halves(200, 150)
    crop = getattr(examples(maker), function)
    options = () if maker == "tf_crops" else (np.random.default_rng(0),)
    if function == "random_crop_of_decoded":
        jpeg = examples(maker).decode_small(jpeg, 200)
    crops = [np.asarray(crop(jpeg, 32, *options), float) for _ in range(60)]
    assert {image.shape for image in crops} == {(32, 32, 3)}
    assert np.std([image.mean() for image in crops]) > 5
    on_the_left = [image[:, 0].mean() < image[:, -1].mean() - 100 for image in crops]
    on_the_right = [image[:, 0].mean() > image[:, -1].mean() + 100 for image in crops]
    assert sum(on_the_left) > 5
    assert sum(on_the_right) > 5


def test_contact_sheet_draws_the_dataset_in_few_lines(run, tmp_path):
    printed = run("contact_sheet.py")
    assert len(printed.splitlines()) <= 5
    assert Image.open(tmp_path / "contact_sheet.png").size == (960, 640)
