"""Makes ImageNet's two archives in their true shape, without ImageNet.

    python -m benchmarks.make.archives FOLDER --lists DIR [--synsets N]

The training archive is a sparse file of the original's size: it has every header, the
listed images are JPEGs of plausible size, and all other images are holes. At its full
size it takes about 20 GB of disk, and the validation archive 6 GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from etils import epath

from benchmarks.make import sparse_tar
from benchmarks.make.photos import Photos, make_photos, signed, typical_sizes
from imagenet2012_subset import Builder
from imagenet2012_subset.subset.subset_list import difference, download_list

TRAINING_NAME = "ILSVRC2012_img_train.tar"
VALIDATION_NAME = "ILSVRC2012_img_val.tar"
LIST_NAMES: Mapping[str, str] = {"1pct": "1percent.txt", "10pct": "10percent.txt"}

_FACTS_NAME = "facts.json"
_SYNSETS = 1000
_TRAINING_IMAGES = 1_281_167
_VALIDATION_IMAGES = 50_000
_FULL_SYNSET, _SMALL_SYNSETS = 1300, 105  # As in the original: 895 synsets are full.
_CMYK_NAMES = frozenset({"n02447366_23489.JPEG", "n07583066_647.JPEG"})
# Above every number of the original, so that no name is one whose image needs
# converting: a hole cannot be decoded.
_FIRST_NUMBER, _LAST_NUMBER = 200_000, 230_000


@dataclasses.dataclass(frozen=True)
class ArchiveFacts:
    """The content of a folder of archives; sizes and lengths are in bytes.

    Attributes:
      synsets: Synsets in the training archive.
      seed: Seed of everything random.
      lists_sha256: Digest of each config's list as cut to the synsets.
      training_images: Members of the inner archives together.
      validation_images: Members of the validation archive.
      training_size: Length of the training archive, holes included.
      validation_size: Length of the validation archive.
    """

    synsets: int
    seed: int
    lists_sha256: dict[str, str]
    training_images: int
    validation_images: int
    training_size: int
    validation_size: int


def make_archives(
    folder: pathlib.Path,
    lists: pathlib.Path,
    synsets: int = 1000,
    seed: int = 0,
    *,
    configs: Sequence[str] = tuple(LIST_NAMES),
    validation_images: int | None = None,
) -> ArchiveFacts:
    """Makes both archives and the lists cut to their synsets, unless they exist.

    Args:
      folder: Where to put them.
      lists: Folder of the original lists, 1percent.txt and 10percent.txt.
      synsets: How many of the sorted synsets the training archive has.
      seed: The same seed gives the same archives.
      configs: Images listed in these are JPEGs; all others are holes.
      validation_images: How many there are; by default 50 for each synset.

    Raises:
      ValueError: If the folder contains archives made with other arguments.
    """
    wnids, cut = _cut_lists(lists, synsets, configs)
    if validation_images is None:
        validation_images = _VALIDATION_IMAGES * synsets // _SYNSETS
    digests = {
        config: hashlib.sha256(text.encode()).hexdigest()
        for config, text in cut.items()
    }
    if (folder / _FACTS_NAME).exists():
        facts = read_facts(folder)
        known = facts.synsets, facts.seed, facts.validation_images
        if known != (synsets, seed, validation_images) or not (
            digests.items() <= facts.lists_sha256.items()
        ):
            raise ValueError(f"{folder} contains archives made with other arguments")
        return facts

    folder.mkdir(parents=True, exist_ok=True)
    for config, text in cut.items():
        (folder / LIST_NAMES[config]).write_text(text)
    photos = make_photos(seed)
    listed = {name for text in cut.values() for name in text.split()}
    counts = dict(zip(wnids, _images_per_synset(seed).tolist(), strict=False))
    training = folder / TRAINING_NAME
    _write_training(training, counts, listed, photos, seed)
    validation = folder / VALIDATION_NAME
    _write_validation(validation, validation_images, photos, seed)
    facts = ArchiveFacts(
        synsets=synsets,
        seed=seed,
        lists_sha256=digests,
        training_images=sum(counts.values()),
        validation_images=validation_images,
        training_size=training.stat().st_size,
        validation_size=validation.stat().st_size,
    )
    (folder / _FACTS_NAME).write_text(
        json.dumps(dataclasses.asdict(facts), indent=2) + "\n"
    )
    return facts


def read_facts(folder: pathlib.Path) -> ArchiveFacts:
    """Returns the facts of a folder that `make_archives` made."""
    return ArchiveFacts(**json.loads((folder / _FACTS_NAME).read_text()))


def fetch_lists(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the lists that are not in `folder` yet, and returns it.

    Raises:
      OSError: If a list cannot be downloaded.
      ValueError: If a list is not the original file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for config in Builder.BUILDER_CONFIGS:
        url = config.subset_list
        path = folder / url.rpartition("/")[2]
        if not path.exists():
            path.write_bytes(download_list(url))
        if problem := difference(epath.Path(path), Builder.url_infos[url]):
            raise ValueError(f"{path} {problem}")
    return folder


def _cut_lists(
    lists: pathlib.Path, synsets: int, configs: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Returns the first synsets in sorted order, and each list's lines of these."""
    full = {
        config: (lists / name).read_text().splitlines(keepends=True)
        for config, name in LIST_NAMES.items()
    }
    wnids = sorted({_wnid(line) for line in full["10pct"]})
    if not 1 <= synsets <= len(wnids):
        raise ValueError(f"synsets must be 1 to {len(wnids)}, not {synsets}")
    kept = set(wnids[:synsets])
    cut = {
        config: "".join(line for line in lines if _wnid(line) in kept)
        for config, lines in full.items()
        if config in configs
    }
    return wnids[:synsets], cut


def _wnid(image_name: str) -> str:
    return image_name.partition("_")[0]


def _images_per_synset(seed: int) -> np.ndarray:
    """Returns counts for all 1,000 synsets: 1,300 each, but fewer in 105 of them."""
    rng = np.random.default_rng([seed, 1])
    counts = np.full(_SYNSETS, _FULL_SYNSET)
    shares = np.linspace(0.1, 1.9, _SMALL_SYNSETS) / _SMALL_SYNSETS
    lacking = rng.multinomial(_FULL_SYNSET * _SYNSETS - _TRAINING_IMAGES, shares)
    counts[rng.choice(_SYNSETS, _SMALL_SYNSETS, replace=False)] -= lacking
    return counts


def _write_training(
    path: pathlib.Path,
    counts: Mapping[str, int],
    listed: set[str],
    photos: Photos,
    seed: int,
) -> None:
    """Writes the archive of archives, with `counts` images of each synset."""
    names_of: dict[str, list[str]] = {wnid: [] for wnid in counts}
    for name in sorted(listed):
        names_of[_wnid(name)].append(name)
    with path.open("wb") as file:
        outer = sparse_tar.Writer(file)
        for rank, (wnid, count) in enumerate(counts.items()):
            rng = np.random.default_rng([seed, 2, rank])
            members = list(_members(wnid, count, names_of[wnid], photos, rng))
            sizes = [size for _, size, _ in members]
            start = outer.header(f"{wnid}.tar", sparse_tar.archive_size(sizes))
            inner = sparse_tar.Writer(file, start)
            for name, size, content in members:
                if content is None:
                    inner.header(name, size)
                else:
                    inner.member(name, content)
        file.truncate(outer.close())


def _members(
    wnid: str,
    count: int,
    listed: list[str],
    photos: Photos,
    rng: np.random.Generator,
) -> Iterator[tuple[str, int, bytes | None]]:
    """Yields one synset's members: name, size, and content unless it is a hole."""
    numbers = rng.choice(
        np.arange(_FIRST_NUMBER, _LAST_NUMBER), count - len(listed), replace=False
    )
    names = listed + [f"{wnid}_{number}.JPEG" for number in numbers]
    sizes = rng.choice(typical_sizes(len(photos.rgb)), count)
    sizes = (sizes * rng.uniform(0.9, 1.1, count)).astype(int)
    for index in rng.permutation(count):
        name = names[index]
        if index >= len(listed):
            yield name, int(sizes[index]), None
            continue
        is_cmyk = name in _CMYK_NAMES
        photo = photos.cmyk if is_cmyk else photos.rgb[rng.integers(len(photos.rgb))]
        content = signed(photo, name)
        yield name, len(content), content


def _write_validation(
    path: pathlib.Path, count: int, photos: Photos, seed: int
) -> None:
    """Writes the flat archive."""
    rng = np.random.default_rng([seed, 3])
    with path.open("wb", buffering=1 << 20) as file:
        writer = sparse_tar.Writer(file)
        for number in rng.permutation(count) + 1:
            name = f"ILSVRC2012_val_{number:08d}.JPEG"
            content = signed(photos.rgb[rng.integers(len(photos.rgb))], name)
            writer.member(name, content)
        file.truncate(writer.close())


def main() -> int:
    """Makes the archives and prints their facts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--lists", type=pathlib.Path, required=True)
    parser.add_argument("--synsets", type=int, default=_SYNSETS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    facts = make_archives(args.folder, args.lists, args.synsets, args.seed)
    print(json.dumps(dataclasses.asdict(facts), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
