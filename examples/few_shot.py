"""Learns from k labelled images per class, and reports the accuracy and its spread.

    python examples/few_shot.py                             # dummy data, in seconds
    python examples/few_shot.py --data_dir ~/tensorflow_datasets --k 1 5 10 \
      --size 224 --backbone EfficientNetV2B0 --weights imagenet --test validation

The images are drawn from 10pct, different ones for each seed. A linear probe on fixed
features is fitted in closed form, by ridge regression on labels as +1 and -1. Without
`--backbone` the features are thumbnails of 8 by 8 pixels: they separate the
dummy classes, but are useless for photos.
"""

from __future__ import annotations

import quiet_tensorflow  # noqa: F401

# isort: split
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from dataset import arguments, prepared
from keras_finetune import evaluation_batches

Features = Callable[[tf.Tensor], tf.Tensor]


def make_features(backbone: str | None, weights: str | None, size: int) -> Features:
    """Returns a function from images with pixels from 0 to 255 to feature vectors."""
    if backbone is None:
        return lambda images: tf.reshape(
            tf.image.resize(images, (8, 8), "area"), (-1, 8 * 8 * 3)
        )
    if backbone.endswith(".keras"):
        return keras.saving.load_model(backbone)
    application = getattr(keras.applications, backbone)
    return application(
        include_top=False, weights=weights, pooling="avg", input_shape=(size, size, 3)
    )


def features_and_labels(
    builder: tfds.core.DatasetBuilder, split: str, size: int, features: Features
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 of shape (images, features) and int64 of shape (images,)."""
    batches = evaluation_batches(builder, split, size, batch_size=64)
    batches = batches.map(lambda images, labels: (features(images), labels))
    vectors, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(vectors), np.concatenate(labels)


def draw(labels: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the indices of k images of each class."""
    classes = np.unique(labels)
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == c), k, replace=False) for c in classes]
    )


def fit_probe(
    vectors: np.ndarray, labels: np.ndarray, ridge: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Fits a classifier; returns a function from vectors to labels."""
    mean, scale = vectors.mean(0), vectors.std(0) + 1e-6
    classes = np.unique(labels)
    targets = np.where(labels[:, None] == classes, 1.0, -1.0)
    x = np.pad((vectors - mean) / scale, ((0, 0), (0, 1)), constant_values=1.0)
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ targets)

    def guess(new: np.ndarray) -> np.ndarray:
        return classes[((new - mean) / scale @ weights[:-1] + weights[-1]).argmax(1)]

    return guess


def main() -> None:
    """Prints the accuracy for each k, its mean and spread over seeds."""
    parser = arguments(__doc__)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="of a crop, in pixels")
    parser.add_argument("--ridge", type=float, default=10.0)
    parser.add_argument("--backbone", help="of keras.applications, or a .keras file")
    parser.add_argument("--weights", help="imagenet, or a file; default: random ones")
    parser.add_argument(
        "--test",
        choices=["rest", "validation"],
        default="rest",
        help="the images of 10pct that were not drawn, to choose options by; "
        "or the validation images, for the result",
    )
    args = parser.parse_args()

    builder = prepared(args, "10pct")
    features = make_features(args.backbone, args.weights, args.size)
    train = features_and_labels(builder, "train", args.size, features)
    if args.test == "validation":
        test = features_and_labels(builder, "validation", args.size, features)
    for k in args.k:
        accuracies = []
        for seed in range(args.seeds):
            drawn = draw(train[1], k, np.random.default_rng(seed))
            guess = fit_probe(train[0][drawn], train[1][drawn], args.ridge)
            if args.test == "rest":
                test = np.delete(train[0], drawn, 0), np.delete(train[1], drawn)
            accuracies.append((guess(test[0]) == test[1]).mean())
        mean, spread = np.mean(accuracies), np.std(accuracies)
        print(f"k={k}: {mean:.1%} +- {spread:.1%} right, over {args.seeds} seeds")


if __name__ == "__main__":
    main()
