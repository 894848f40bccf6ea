"""Files of others: nothing in them is run, and what is damaged or strange is refused."""

from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

from dfray.errors import ModelFileError
from dfray.models.checkpoint import digest, read_checkpoint

TENSORS = {"a.weight": torch.arange(600.0).reshape(20, 30), "a.bias": torch.zeros(20)}


class LeavesAFile:
    """Pickled, it would make the file `path` where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_tensors_plain_values_and_a_namespace_are_read(tmp_path):
    content = {"model": TENSORS, "epoch": 400, "args": Namespace(lr=1e-3, betas=(0.9, 0.95))}
    torch.save(content, tmp_path / "a.pth")
    found = read_checkpoint(str(tmp_path / "a.pth"), "a")
    assert torch.equal(found["model"]["a.weight"], TENSORS["a.weight"])
    assert found["args"] == content["args"]


def test_the_older_file_format_and_safetensors_are_read(tmp_path):
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(TENSORS, tmp_path / "new.safetensors")
    for name in ("old.pth", "new.safetensors"):
        found = read_checkpoint(str(tmp_path / name), name)
        assert torch.equal(found["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("where", ["model", "args"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, where, new_format):
    harmful = LeavesAFile(tmp_path / "ran")
    content = {"model": TENSORS, "args": Namespace()}
    content[where] = harmful if where == "model" else Namespace(hook=harmful)
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelFileError, match="code in it.* not run") as caught:
        read_checkpoint(str(tmp_path / "a.pth"), "a.pth")
    assert not (tmp_path / "ran").exists()
    assert "weights_only" not in str(caught.value)  # torch advises to switch the guard off


def test_the_class_that_would_have_been_called_is_named(tmp_path):
    torch.save({"model": LeavesAFile(tmp_path / "ran")}, tmp_path / "a.pth")
    with pytest.raises(ModelFileError, match=r"code in it \((_?io|builtins)\.open\)"):
        read_checkpoint(str(tmp_path / "a.pth"), "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "old.pth"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = tmp_path / name
    if name.endswith(".safetensors"):
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=name == "a.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelFileError, match=r"the publisher's file"):
        read_checkpoint(str(path), "the publisher's file")


@pytest.mark.parametrize(
    "content", [b"<html>Not found</html>", b"\x00" * 100, b"version https://git-lfs"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelFileError, match="a.pth"):
        read_checkpoint(str(tmp_path / "a.pth"), "a.pth")


def test_a_file_of_something_else_than_a_dictionary_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "a.pth")
    with pytest.raises(ModelFileError, match="holds a list"):
        read_checkpoint(str(tmp_path / "a.pth"), "a.pth")


def test_the_digest_of_tensors_tells_names_shapes_and_values_of_scalars_too():
    gain = torch.tensor(0.5)  # as NFNets have
    digests = [
        digest([("gain", gain)]),
        digest([("gain", gain + 1)]),
        digest([("gain", gain[None])]),
        digest([("other", gain)]),
    ]
    assert len(set(digests)) == 4
    assert digest([("gain", gain.clone())]) == digests[0]
