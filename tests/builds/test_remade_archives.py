"""Archives that somebody packed again give the same dataset as the originals."""

import io
import pathlib
import shutil
import subprocess
import tarfile

import pytest

from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.shared import archives, forms


def _pack_all(small_data, pack):
    """Packs each synset, the training archive and the validation images."""
    synsets = [(f"{w}.tar", pack(images)) for w, images in small_data.training.items()]
    archives.write_manual_dir(
        small_data.manual_dir, pack(synsets), pack(small_data.validation)
    )


def _member(name, data=b"", member_type=tarfile.REGTYPE, link_to="", **pax_headers):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = member_type, link_to, len(data)
    member.pax_headers = pax_headers
    return member, io.BytesIO(data)


def _pack_members(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, data)
    return stream.getvalue()


def test_other_members(rule, small_data):
    """Directories, links, and the files that macOS adds."""
    apple_double = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(130)

    def members(files):
        files = list(files)
        yield _member(".", member_type=tarfile.DIRTYPE)
        yield _member("n01440764.tar/", member_type=tarfile.DIRTYPE)
        yield _member("._.", apple_double)
        yield _member(".DS_Store", b"\0\0\0\1Bud1" + bytes(6140))
        for name, data in files:
            yield _member(f"folder/{name}/", member_type=tarfile.DIRTYPE)
            yield _member(f"._{name}", apple_double)
            yield _member(name, data)
            yield _member(f"__MACOSX/._{name}", apple_double)
        first = files[0][0]
        yield _member(f"links/{first}", b"", tarfile.SYMTYPE, f"../{first}")
        yield _member(f"hard/{first}", b"", tarfile.LNKTYPE, first)
        yield _member("pipe", member_type=tarfile.FIFOTYPE)

    _pack_all(small_data, lambda files: _pack_members(members(files)))
    rule.builds()


def test_pax_headers_of_members(rule, small_data):
    headers = {
        "mtime": "1340000000.123456789",
        "comment": "x" * 2000,
        "SCHILY.xattr.user.name": "value",
    }

    def members(files):
        for name, data in files:
            yield _member(name, data, path=f"./elsewhere/{name}", **headers)

    _pack_all(small_data, lambda files: _pack_members(members(files)))
    rule.builds()


@pytest.mark.parametrize("folder", ["", "./ILSVRC/Data/train/n01440764/", "C:\\train/"])
def test_training_images_without_synset_tars(rule, small_data, folder):
    """The folder of a wrong synset does not count: the label goes by the name."""
    files = [(folder + name, data) for name, data in forms.images(small_data)]
    path = small_data.manual_dir / TRAINING.file_name
    path.write_bytes(archives.tar_bytes(files))
    rule.builds()


def test_validation_images_in_folders(rule, small_data):
    # The folder is that of a wrong synset: the label goes by the number.
    files = [(f"val/n01440764/{name}", data) for name, data in small_data.validation]
    path = small_data.manual_dir / VALIDATION.file_name
    path.write_bytes(archives.tar_bytes(files))
    rule.builds()


def test_training_and_validation_images_in_both(rule, small_data):
    files = [*forms.images(small_data), *small_data.validation]
    everything = archives.tar_bytes(files)
    archives.write_manual_dir(small_data.manual_dir, everything, everything)
    rule.builds()


@pytest.mark.skipif(not shutil.which("tar"), reason="there is no tar program")
@pytest.mark.parametrize("option", ["--format=gnu", "--format=pax", "--format=v7"])
@pytest.mark.parametrize("has_synset_tars", [True, False])
def test_packed_by_the_tar_program(rule, small_data, tmp_path, option, has_synset_tars):
    def pack(folder: pathlib.Path, archive: pathlib.Path):
        archive.unlink(missing_ok=True)
        command = ["tar", "-c", option, "-f", archive, "-C", folder, "."]
        subprocess.run(command, check=True)

    forms.training_tree("train")(small_data, tmp_path)
    forms.validation_flat("val")(small_data, tmp_path)
    if has_synset_tars:
        for wnid in small_data.training:
            folder = tmp_path / "train" / wnid
            pack(folder, folder.with_suffix(".tar"))
            shutil.rmtree(folder)
    pack(tmp_path / "train", small_data.manual_dir / TRAINING.file_name)
    pack(tmp_path / "val", small_data.manual_dir / VALIDATION.file_name)
    rule.builds()
