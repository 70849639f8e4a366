"""Trains a JAX model on 1% of the labels, with Grain for input.

    python examples/jax_grain.py                            # dummy data, in seconds
    python examples/jax_grain.py --manual_dir ~/imagenet --data_dir ~/array_records \
      --size 224 --batch_size 256 --workers 8

On several hosts, call `jax.distributed.initialize()` first: each host then reads
its own part, and each step trains on the batches of all hosts. The dataset is read from
ArrayRecord files. If it exists in another format, they are added beside it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import cv2
import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np
import simplejpeg
import tensorflow_datasets as tfds
from absl import flags
from dataset import arguments, prepared

Params = dict[str, jax.Array]


def random_crop(jpeg: bytes, size: int, rng: np.random.Generator) -> np.ndarray:
    """Returns 8% to 100% of an image's area, resized and mirrored at random.

    Returns:
      uint8 of shape (size, size, 3).
    """
    image = simplejpeg.decode_jpeg(jpeg)
    height, width, _ = image.shape
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1.0)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            break
    else:
        w = h = min(width, height)
    left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
    crop = cv2.resize(image[top : top + h, left : left + w], (size, size))
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def central_crop(jpeg: bytes, size: int) -> np.ndarray:
    """Returns the central square, 7/8 of the shorter side long, resized.

    Returns:
      uint8 of shape (size, size, 3).
    """
    image = simplejpeg.decode_jpeg(jpeg)
    height, width, _ = image.shape
    side = max(1, min(width, height) * 7 // 8)
    left, top = (width - side) // 2, (height - side) // 2
    square = image[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


class RandomCrop(grain.RandomMapTransform):
    """Turns an encoded example into an image of a common size and its label."""

    def __init__(self, size: int):
        self._size = size

    def random_map(
        self, element: dict[str, Any], rng: np.random.Generator
    ) -> dict[str, Any]:
        image = random_crop(element["image"], self._size, rng)
        return {"image": image, "label": np.int32(element["label"])}


def training_batches(
    builder: tfds.core.DatasetBuilder,
    size: int,
    batch_size: int,
    workers: int,
    epochs: int,
) -> grain.DataLoader:
    """Returns this process's batches, in a different order each epoch."""
    source = encoded(builder, "train")
    sampler = grain.IndexSampler(
        len(source),
        shard_options=grain.ShardByJaxProcess(drop_remainder=True),
        shuffle=True,
        num_epochs=epochs,
        seed=0,
    )
    return grain.DataLoader(
        data_source=source,
        sampler=sampler,
        operations=[RandomCrop(size), grain.Batch(batch_size, drop_remainder=True)],
        worker_count=workers,
    )


def encoded(builder: tfds.core.DatasetBuilder, split: str) -> Any:
    """Returns random access to the examples of a split, with JPEGs as images."""
    return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})


def init(rng: jax.Array, classes: int) -> Params:
    """Returns the weights of two convolutions and a linear layer."""
    first, second, last = jax.random.split(rng, 3)
    he = jax.nn.initializers.he_normal()
    return {
        "conv1": he(first, (3, 3, 3, 32)),
        "conv2": he(second, (3, 3, 32, 64)),
        "dense": he(last, (64, classes)),
    }


def predict(params: Params, images: jax.Array) -> jax.Array:
    """Returns the logits of each class."""
    x = images.astype(jnp.float32) / 127.5 - 1
    for name in ("conv1", "conv2"):
        x = jax.lax.conv_general_dilated(
            x, params[name], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x)
    return x.mean(axis=(1, 2)) @ params["dense"]


def loss_fn(params: Params, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the mean cross-entropy of a batch."""
    log_p = jax.nn.log_softmax(predict(params, images))
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()


@functools.partial(jax.jit, donate_argnums=(0, 1))
def step(
    params: Params, momentum: Params, images: jax.Array, labels: jax.Array
) -> tuple[Params, Params, jax.Array]:
    """Takes a step of stochastic gradient descent."""
    loss, grads = jax.value_and_grad(loss_fn)(params, images, labels)
    momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
    params = jax.tree.map(lambda p, m: p - 0.01 * m, params, momentum)
    return params, momentum, loss


def main() -> None:
    """Trains, and evaluates at the end."""
    parser = arguments(__doc__)
    parser.add_argument("--config", default="1pct", help="1pct or 10pct")
    parser.add_argument("--size", type=int, default=32, help="of a crop, in pixels")
    parser.add_argument("--batch_size", type=int, default=5, help="of one process")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2, help="processes that load")
    args = parser.parse_args()

    # Grain's workers require absl's flags to be parsed.
    flags.FLAGS.mark_as_parsed()

    builder = prepared(args, args.config, file_format="array_record")
    # Every device holds the weights, and a part of the batch.
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    classes = builder.info.features["label"].num_classes
    params = jax.device_put(init(jax.random.key(0), classes), whole)
    momentum = jax.tree.map(jnp.zeros_like, params)

    batches = training_batches(
        builder, args.size, args.batch_size, args.workers, args.epochs
    )
    for number, batch in enumerate(batches, start=1):
        images, labels = (
            jax.make_array_from_process_local_data(split, batch[name])
            for name in ("image", "label")
        )
        params, momentum, loss = step(params, momentum, images, labels)
        if number % 10 == 0:
            print(f"step {number}: loss {loss:.3f}")

    validation = encoded(builder, "validation")
    params, classify, correct = jax.device_get(params), jax.jit(predict), 0
    for example in validation:
        images = central_crop(example["image"], args.size)[None]
        correct += int(classify(params, images).argmax() == example["label"])
    accuracy = correct / len(validation)
    print(f"validation: {accuracy:.1%} of {len(validation):,} labels are right")


if __name__ == "__main__":
    main()
