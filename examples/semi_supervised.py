"""Trains on 1% with labels and 10% without, as FixMatch does.

    python examples/semi_supervised.py                      # dummy data, in seconds
    python examples/semi_supervised.py --data_dir ~/tensorflow_datasets \
      --size 224 --batch_size 64 --steps 50000 --learning_rate 0.001

Each batch contains labelled images of 1pct, and several times as many of 10pct, whose
labels are never read. If the model is confident about a crop, its prediction is the
target for a distorted copy. (https://arxiv.org/abs/2001.07685)
"""

from __future__ import annotations

import quiet_tensorflow  # noqa: F401

# isort: split
import keras
import tensorflow as tf
import tensorflow_datasets as tfds
from dataset import arguments, prepared
from keras_finetune import evaluation_batches, make_backbone
from tf_crops import random_crop

_SHUFFLE_BUFFER = 10_000  # Encoded images: about 1.1 GB of the real ones.


def distorted(image: tf.Tensor) -> tf.Tensor:
    """Changes the colours of an image, and greys out a square of it."""
    image = tf.image.random_brightness(image / 255, 0.4)
    image = tf.image.random_contrast(image, 0.6, 1.4)
    image = tf.image.random_saturation(image, 0.6, 1.4)
    size = image.shape[0]
    top, left = tf.unstack(tf.random.uniform([2], 0, size // 2, tf.int32))
    y, x = tf.range(size)[:, None, None], tf.range(size)[None, :, None]
    inside = (abs(y - top - size // 4) < size // 4) & (
        abs(x - left - size // 4) < size // 4
    )
    return tf.clip_by_value(tf.where(inside, 0.5, image), 0, 1) * 255


def labelled_images(builder: tfds.core.DatasetBuilder, size: int) -> tf.data.Dataset:
    """Returns (crop, label), repeated endlessly."""
    return (
        builder.as_dataset(
            split="train",
            as_supervised=True,
            shuffle_files=True,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        .shuffle(_SHUFFLE_BUFFER)
        .repeat()
        .map(lambda jpeg, label: (random_crop(jpeg, size), label), tf.data.AUTOTUNE)
    )


def unlabelled_images(builder: tfds.core.DatasetBuilder, size: int) -> tf.data.Dataset:
    """Returns (crop, distorted crop), repeated endlessly; only reads the images."""

    def two_views(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        jpeg = example["image"]
        return random_crop(jpeg, size), distorted(random_crop(jpeg, size))

    return (
        builder.as_dataset(
            split="train",
            shuffle_files=True,
            decoders=tfds.decode.PartialDecoding(
                {"image": True}, decoders={"image": tfds.decode.SkipDecoding()}
            ),
        )
        .shuffle(_SHUFFLE_BUFFER)
        .repeat()
        .map(two_views, tf.data.AUTOTUNE)
    )


def training_batches(
    labelled: tfds.core.DatasetBuilder,
    unlabelled: tfds.core.DatasetBuilder,
    size: int,
    batch_size: int,
    ratio: int,
) -> tf.data.Dataset:
    """Returns ((image, label), (crop, distorted crop)), the latter `ratio` as many."""
    return tf.data.Dataset.zip(
        labelled_images(labelled, size).batch(batch_size),
        unlabelled_images(unlabelled, size).batch(batch_size * ratio),
    ).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Trains, and prints both losses and how often the model was sure."""
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=32, help="of a crop, in pixels")
    parser.add_argument("--batch_size", type=int, default=5, help="labelled images")
    parser.add_argument("--ratio", type=int, default=3, help="unlabelled to one")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--threshold", type=float, default=0.8, help="to be sure")
    parser.add_argument("--backbone", help="of keras.applications; default: small")
    parser.add_argument("--weights", help="imagenet, or a file; default: random ones")
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    labelled, unlabelled = prepared(args, "1pct"), prepared(args, "10pct")
    classes = labelled.info.features["label"].num_classes
    backbone = make_backbone(args.backbone, args.weights, args.size)
    model = keras.Sequential([backbone, keras.layers.Dense(classes)])
    optimizer = keras.optimizers.AdamW(args.learning_rate)

    @tf.function
    def step(
        images: tf.Tensor, labels: tf.Tensor, weak: tf.Tensor, strong: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(tf.concat([images, weak, strong], axis=0), training=True)
            sizes = [len(images), len(weak), len(strong)]
            of_images, of_weak, of_strong = tf.split(logits, sizes)
            guess = tf.stop_gradient(tf.nn.softmax(of_weak))
            sure = tf.cast(tf.reduce_max(guess, 1) >= args.threshold, tf.float32)
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
            supervised = tf.reduce_mean(cross_entropy(labels, of_images))
            agreement = cross_entropy(tf.argmax(guess, 1), of_strong)
            unsupervised = tf.reduce_mean(sure * agreement)
            loss = supervised + unsupervised
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return supervised, unsupervised, tf.reduce_mean(sure)

    batches = training_batches(
        labelled, unlabelled, args.size, args.batch_size, args.ratio
    )
    for number, (pair, views) in enumerate(batches.take(args.steps), start=1):
        supervised, unsupervised, sure = step(*pair, *views)
        if number % max(1, args.steps // 10) == 0:
            print(
                f"step {number}: loss {supervised:.3f} with labels, "
                f"{unsupervised:.3f} without; sure of {sure:.0%}"
            )

    accuracy = keras.metrics.SparseCategoricalAccuracy()
    validation = evaluation_batches(labelled, "validation", args.size, args.batch_size)
    for images, labels in validation:
        accuracy.update_state(labels, model(images))
    print(f"validation: {accuracy.result():.1%} of the labels are right")


if __name__ == "__main__":
    main()
