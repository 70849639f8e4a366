"""Fine-tunes a Keras model on 1% of the labels.

    python examples/keras_finetune.py                       # dummy data, in seconds
    python examples/keras_finetune.py --data_dir ~/tensorflow_datasets \
      --size 224 --batch_size 128 --learning_rate 0.0001 \
      --backbone EfficientNetV2B0 --weights imagenet

As in SimCLR and big_vision, encoded images are shuffled, and each is decoded only
within its crop. If there is enough memory, `--in_memory` decodes each image only once.
"""

from __future__ import annotations

import quiet_tensorflow  # noqa: F401

# isort: split
import keras
import tensorflow as tf
import tensorflow_datasets as tfds
from dataset import arguments, prepared
from tf_crops import central_crop, decode_small, random_crop, random_crop_of_decoded

_SHUFFLE_BUFFER = 10_000  # Encoded images: about 1.1 GB of the real ones.


def training_batches(
    builder: tfds.core.DatasetBuilder,
    size: int,
    batch_size: int,
    in_memory: bool = False,
) -> tf.data.Dataset:
    """Returns an epoch of batches of (image, label), in another order each time.

    Args:
      builder: of the dataset.
      size: of a crop, in pixels.
      batch_size: images in a batch.
      in_memory: whether to decode each image once, and to keep it, no larger than an
        evaluation would see it: for crops of 224 pixels, 3.4 GB of `1pct`.
    """
    images = builder.as_dataset(
        split="train",
        as_supervised=True,
        shuffle_files=True,
        decoders={"image": tfds.decode.SkipDecoding()},
    )
    crop = random_crop_of_decoded if in_memory else random_crop
    if in_memory:
        images = images.map(
            lambda jpeg, label: (decode_small(jpeg, size), label), tf.data.AUTOTUNE
        ).cache()
    return (
        images.shuffle(_SHUFFLE_BUFFER)
        .map(lambda image, label: (crop(image, size), label), tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(
    builder: tfds.core.DatasetBuilder, split: str, size: int, batch_size: int
) -> tf.data.Dataset:
    """Returns all images of a split in order, as batches of (image, label)."""
    return (
        builder.as_dataset(
            split=split,
            as_supervised=True,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        .map(lambda jpeg, label: (central_crop(jpeg, size), label), tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def make_backbone(name: str | None, weights: str | None, size: int) -> keras.Model:
    """Returns a network from images to features: a small one, or a well-known one."""
    shape = (size, size, 3)
    if name is not None:
        application = getattr(keras.applications, name)
        return application(
            include_top=False, weights=weights, pooling="avg", input_shape=shape
        )
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def main() -> None:
    """Trains, and evaluates after each epoch."""
    parser = arguments(__doc__)
    parser.add_argument("--config", default="1pct", help="1pct or 10pct")
    parser.add_argument("--size", type=int, default=32, help="of a crop, in pixels")
    parser.add_argument("--batch_size", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument(
        "--backbone",
        help="of keras.applications, one that takes pixels from 0 to 255; "
        "default: a small one",
    )
    parser.add_argument("--weights", help="imagenet, or a file; default: random ones")
    parser.add_argument("--in_memory", action="store_true", help="decode only once")
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    builder = prepared(args, args.config)
    backbone = make_backbone(args.backbone, args.weights, args.size)
    classes = builder.info.features["label"].num_classes
    model = keras.Sequential([backbone, keras.layers.Dense(classes)])
    model.compile(
        optimizer=keras.optimizers.AdamW(args.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        training_batches(builder, args.size, args.batch_size, args.in_memory),
        validation_data=evaluation_batches(
            builder, "validation", args.size, args.batch_size
        ),
        epochs=args.epochs,
        verbose=2,
    )


if __name__ == "__main__":
    main()
