"""Archives that somebody made again give the same dataset as the originals."""

import io
import pathlib
import shutil
import subprocess
import tarfile

import pytest

from tests.shared import archives, faults

FORMATS = pytest.mark.parametrize(
    "tar_format",
    [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT],
    ids=["ustar", "gnu", "pax"],
)


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


def _flat(small_data):
    return [image for images in small_data.training.values() for image in images]


def _wnid(name):
    return name.partition("_")[0]


def _tars(small_data, tar_format=tarfile.GNU_FORMAT):
    return [
        (f"{wnid}.tar", archives.tar_bytes(images, tar_format))
        for wnid, images in small_data.training.items()
    ]


def _with_members(members, tar_format=tarfile.GNU_FORMAT, **keywords):
    """Returns a tar of (TarInfo, data)."""
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=tar_format, **keywords
    ) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _member(name, member_type=tarfile.REGTYPE, link_to="", **pax_headers):
    member = tarfile.TarInfo(name)
    member.type = member_type
    member.linkname = link_to
    member.pax_headers = pax_headers
    return member


@FORMATS
@pytest.mark.parametrize("folder", ["", "./", "ILSVRC2012/", "a/" * 60, "é/", "x" * 90])
def test_formats_and_prefixes(rule, small_data, tar_format, folder):
    prefix = f"{folder}/" if folder.endswith("x") else folder

    def prefixed(files):
        return [(prefix + name, data) for name, data in files]

    inner = [
        (f"{prefix}{wnid}.tar", archives.tar_bytes(prefixed(images), tar_format))
        for wnid, images in small_data.training.items()
    ]
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.tar_bytes(inner, tar_format),
        archives.tar_bytes(prefixed(small_data.validation), tar_format),
    )
    rule.builds()


@pytest.mark.parametrize(
    "pax_headers",
    [
        {"mtime": "1340000000.123456789"},
        {"comment": "x" * 2000},
        {"SCHILY.xattr.user.name": "value", "path": "./elsewhere/{name}"},
    ],
)
def test_pax_headers_of_members(rule, small_data, pax_headers):
    def members(files):
        for name, data in files:
            own = {key: text.format(name=name) for key, text in pax_headers.items()}
            yield _member(name, **own), data

    inner = [
        (f"{wnid}.tar", _with_members(members(images), tarfile.PAX_FORMAT))
        for wnid, images in small_data.training.items()
    ]
    archives.write_manual_dir(
        small_data.manual_dir,
        _with_members(members(inner), tarfile.PAX_FORMAT),
        _with_members(members(small_data.validation), tarfile.PAX_FORMAT),
    )
    rule.builds()


def test_files_of_macos(rule, small_data):
    apple_double = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(130)

    def littered(files):
        yield "._.", apple_double
        yield ".DS_Store", b"\0\0\0\1Bud1" + bytes(6140)
        for name, data in files:
            yield f"._{name}", apple_double
            yield name, data
            yield f"__MACOSX/._{name}", apple_double

    inner = [
        (f"{wnid}.tar", archives.tar_bytes(littered(images)))
        for wnid, images in small_data.training.items()
    ]
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.tar_bytes(littered(inner)),
        archives.tar_bytes(littered(small_data.validation)),
    )
    rule.builds()


@FORMATS
def test_directories_and_links(rule, small_data, tar_format):
    def members(files):
        files = list(files)
        yield _member(".", tarfile.DIRTYPE), b""
        yield _member("n01440764.tar/", tarfile.DIRTYPE), b""
        for name, data in files:
            yield _member(f"folder/{name}/", tarfile.DIRTYPE), b""
            yield _member(name), data
        first = files[0][0]
        yield _member(f"links/{first}", tarfile.SYMTYPE, f"../{first}"), b""
        yield _member(f"hard/{first}", tarfile.LNKTYPE, first), b""
        yield _member("pipe", tarfile.FIFOTYPE), b""

    inner = [
        (f"{wnid}.tar", _with_members(members(images), tar_format))
        for wnid, images in small_data.training.items()
    ]
    archives.write_manual_dir(
        small_data.manual_dir,
        _with_members(members(inner), tar_format),
        _with_members(members(small_data.validation), tar_format),
    )
    rule.builds()


@pytest.mark.parametrize("link_type", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_listed_image_as_a_link(rule, small_data, link_type):
    listed = small_data.listed[0]
    members = [(_member(name), data) for name, data in _flat(small_data)]
    for member, _ in members:
        if member.name == listed:
            member.name = "original.JPEG"
    members.append((_member(listed, link_type, "original.JPEG"), b""))
    archives.write_manual_dir(
        small_data.manual_dir,
        _with_members(members),
        archives.tar_bytes(small_data.validation),
    )
    rule.refuses("ILSVRC2012_img_train.tar: is missing 1 of 6 images", listed)


def test_another_order(rule, small_data):
    reordered = {
        wnid: list(reversed(images))
        for wnid, images in reversed(small_data.training.items())
    }
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.training_tar(reordered),
        archives.tar_bytes(sorted(small_data.validation)),
    )
    rule.builds()


@pytest.mark.parametrize(
    "name_of",
    [
        "{name}",
        "./{name}",
        "{wnid}/{name}",
        "train/{wnid}/{name}",
        "./ILSVRC/Data/CLS-LOC/train/{wnid}/{name}",
        "C:\\train/{name}",
    ],
)
@FORMATS
def test_training_images_without_tars_of_synsets(rule, small_data, name_of, tar_format):
    flat = [
        (name_of.format(wnid=_wnid(name), name=name), data)
        for name, data in _flat(small_data)
    ]
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.tar_bytes(flat, tar_format),
        archives.tar_bytes(small_data.validation),
    )
    rule.builds()


@pytest.mark.parametrize("folder", ["", "train/", "./"])
def test_some_synsets_in_tars_and_some_not(rule, small_data, folder):
    tars = _tars(small_data)
    loose = list(small_data.training.values())[1]
    files = [tars[2], *((folder + name, data) for name, data in loose), tars[0]]
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.tar_bytes(files),
        archives.tar_bytes(small_data.validation),
    )
    rule.builds()


@pytest.mark.parametrize("name_of", ["val/{name}", "val/n01440764/{name}"])
def test_validation_images_in_folders(rule, small_data, name_of):
    # The folder's synset is a wrong one: the label goes by the number.
    files = [(name_of.format(name=name), data) for name, data in small_data.validation]
    archives.write_manual_dir(
        small_data.manual_dir,
        archives.training_tar(small_data.training),
        archives.tar_bytes(files),
    )
    rule.builds()


def test_training_and_validation_images_in_both(rule, small_data):
    everything = archives.tar_bytes([*_tars(small_data), *small_data.validation])
    archives.write_manual_dir(small_data.manual_dir, everything, everything)
    rule.builds()


@pytest.mark.parametrize("padding", [-512, -1024, 512, 100 * 512], ids="{:+d}".format)
def test_other_end_blocks(rule, small_data, padding):
    def padded(content):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            last = tar.getmembers()[-1]
        end = last.offset_data + -(-last.size // 512) * 512
        return content[:end] + bytes(1024 + padding)

    inner = [(name, padded(content)) for name, content in _tars(small_data)]
    archives.write_manual_dir(
        small_data.manual_dir,
        padded(archives.tar_bytes(inner)),
        padded(archives.tar_bytes(small_data.validation)),
    )
    rule.builds()


@pytest.mark.skipif(not shutil.which("tar"), reason="there is no tar program")
@pytest.mark.parametrize("option", ["--format=gnu", "--format=pax", "--format=v7"])
@pytest.mark.parametrize("tars_of_synsets", [True, False])
def test_packed_by_the_tar_program(rule, small_data, tmp_path, option, tars_of_synsets):
    def pack(folder: pathlib.Path, archive: pathlib.Path):
        archive.unlink(missing_ok=True)
        subprocess.run(
            ["tar", "-c", option, "-f", archive, "-C", folder, "."],
            check=True,
        )

    train, val = tmp_path / "train", tmp_path / "val"
    for wnid, images in small_data.training.items():
        folder = train / wnid
        folder.mkdir(parents=True)
        for name, data in images:
            (folder / name).write_bytes(data)
        if tars_of_synsets:
            pack(folder, train / f"{wnid}.tar")
            shutil.rmtree(folder)
    val.mkdir()
    for name, data in small_data.validation:
        (val / name).write_bytes(data)
    pack(train, small_data.manual_dir / "ILSVRC2012_img_train.tar")
    pack(val, small_data.manual_dir / "ILSVRC2012_img_val.tar")
    rule.builds()
