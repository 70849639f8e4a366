"""Trains a PyTorch model on 1% of the labels.

    python examples/torch_train.py                          # dummy data, in seconds
    python examples/torch_train.py --manual_dir ~/imagenet --data_dir ~/array_records \
      --size 224 --batch_size 256 --workers 8

A worker reads the records of a batch at random from ArrayRecord files. If the dataset
exists in another format, this one is added beside it. TensorFlow is never imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds
import torch
from dataset import arguments, prepared
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2


class Crops(Dataset[tuple[torch.Tensor, int]]):
    """Crops of a split's images, with their labels.

    An image is uint8 of shape (3, size, size). Copied between processes and to the
    device, it has a quarter of the bytes of floats.
    """

    def __init__(
        self, builder: tfds.core.DatasetBuilder, split: str, size: int, training: bool
    ):
        self._source: Any = builder.as_data_source(
            split, decoders={"image": tfds.decode.SkipDecoding()}
        )
        if training:
            steps = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
        else:
            steps = [v2.Resize(size * 8 // 7), v2.CenterCrop(size)]
        self._transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        return [self._crop(example) for example in self._source.__getitems__(indices)]

    def _crop(self, example: dict[str, Any]) -> tuple[torch.Tensor, int]:
        jpeg = torch.frombuffer(bytearray(example["image"]), dtype=torch.uint8)
        image = self._transform(decode_image(jpeg, ImageReadMode.RGB))
        return image, int(example["label"])


def normalized(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns float32 of the same shape, from -1 to 1."""
    return images.to(device, non_blocking=True).float() / 127.5 - 1


def training_batches(
    builder: tfds.core.DatasetBuilder, size: int, batch_size: int, workers: int
) -> DataLoader[tuple[torch.Tensor, int]]:
    """Returns batches of (image, label), in a different order each epoch."""
    return DataLoader(
        Crops(builder, "train", size, training=True),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),
    )


def main() -> None:
    """Trains, and evaluates at the end."""
    parser = arguments(__doc__)
    parser.add_argument("--config", default="1pct", help="1pct or 10pct")
    parser.add_argument("--size", type=int, default=32, help="of a crop, in pixels")
    parser.add_argument("--batch_size", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--workers", type=int, default=2, help="processes that load")
    args = parser.parse_args()

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    builder = prepared(args, args.config, file_format="array_record")
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride=2), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(64, builder.info.features["label"].num_classes),
    ).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    batches = training_batches(builder, args.size, args.batch_size, args.workers)
    for epoch in range(args.epochs):
        losses = []
        for images, labels in batches:
            guesses = model(normalized(images, device))
            loss = nn.functional.cross_entropy(guesses, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        print(f"epoch {epoch + 1}: loss {torch.stack(losses).mean():.3f}")

    validation = Crops(builder, "validation", args.size, training=False)
    correct = 0
    with torch.inference_mode():
        for images, labels in DataLoader(
            validation, args.batch_size, num_workers=args.workers
        ):
            guesses = model(normalized(images, device)).argmax(1)
            correct += int((guesses.cpu() == labels).sum())
    accuracy = correct / len(validation)
    print(f"validation: {accuracy:.1%} of {len(validation):,} labels are right")


if __name__ == "__main__":
    main()
