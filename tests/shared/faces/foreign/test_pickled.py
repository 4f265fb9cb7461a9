"""Pickles are read as data: what plain values need is followed, everything else is refused, and nothing is called."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import MediaError
from shared.faces.foreign.pickled import PickledArray, plain_values

PLAIN = {
    "text": "häß\U0001f600",
    "numbers": [0, 1, -1, 255, 256, 65536, -(2**31), 2**70, 1.5, -0.0],
    "nothing": None,
    "truth": [True, False],
    "bytes": [b"", b"\x00\xff" * 40, b"x" * 70000],
    "nested": {"a": [{"b": (1,)}, (1, 2), (1, 2, 3), (1, 2, 3, 4), ()], "c": {}, "d": []},
    "long": list(range(3000)),
    "many": {str(key): key for key in range(2000)},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_equal_in_every_protocol(protocol):
    assert plain_values(pickle.dumps(PLAIN, protocol), "file") == PLAIN
    shared = [1, 2]
    assert plain_values(pickle.dumps([shared, shared], protocol), "file") == [[1, 2], [1, 2]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(136, dtype=np.float32).reshape(68, 2),
        np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.array([[True, False]]),
        np.zeros((0, 2), np.uint8),
        np.array(7, np.int64),
    ],
)
def test_arrays_of_numbers_come_back_equal(protocol, array):
    found: Any = plain_values(pickle.dumps({"a": array}, protocol), "file")
    assert isinstance(found["a"], PickledArray)
    np.testing.assert_array_equal(found["a"].value, array)
    assert found["a"].value.dtype == array.dtype


def test_numbers_of_numpy_come_back_as_numbers():
    assert plain_values(pickle.dumps([np.float64(1.5), np.int32(3), np.float32(0.25)]), "file") == [1.5, 3, 0.25]


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_no_code_is_run(tmp_path: Path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps({"landmarks": _Evil(tmp_path / "run")}, protocol)
        with pytest.raises(MediaError, match=r"file asks for (posix|nt)\.system, which is code and no data"):
            plain_values(data, "file")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pickle.dumps(Decimal(1)), "asks for decimal.Decimal"),
        (pickle.dumps(OrderedDict(a=1)), "asks for collections.OrderedDict"),
        (pickle.dumps({1, 2}), "EMPTY_SET"),
        (pickle.dumps({1: 2}), "names something by more than a text"),
        (pickle.dumps({("a",): 2}), "names something by more than a text"),
        (pickle.dumps(np.array(["a"])), "unusual type"),
        (pickle.dumps(np.array([None])), "unusual type"),
        (pickle.dumps(np.zeros(1, [("a", "f4")])), "unusual type"),
        (b"(ios\nsystem\nS'true'\n.", "INST"),
        (b"\x80\x02cbuiltins\neval\nU\x011\x85R.", "asks for builtins.eval"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.", "asks for builtins.exec"),
        (b"\x80\x02cnumpy\ndtype\ncnumpy\ndtype\n\x85R.", "unusual type"),
        (b"\x80\x02cnumpy\nndarray\nU\x011\x85R.", "unusual type"),
        (b"\x80\x02]U\x011\x85R.", "calls something that is no constructor"),
        (b"\x80\x02}}b.", "fills a value of an unusual type"),
        (b"\x80\x02P1\n.", "PERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"]2.", "DUP"),
    ],
)
def test_what_is_more_than_data_is_refused_by_name(data, said):
    with pytest.raises(MediaError) as caught:
        plain_values(data, "file")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"garbage", b"\x80", b"\x80\x04", b"]", b"]].", b"a.", b"e.", b"(.", b"h\x01.", b"\x80\x04\x94.",
        b"0.", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", b"\x8b\xff\xff\xff\x7f.", b"I" + b"9" * 9000 + b"\n.",
        b"\x86.", b"u.", b"\x80\x02}(U\x01au.", b"\x80\x04\x93.", b"R.", b"b.", pickle.dumps(PLAIN)[:-30],
        pickle.dumps(np.zeros(4)).replace(b"K\x04\x85", b"K\x05\x85"), b"X\x01\x00\x00\x00\xff.",
    ],
)  # fmt: skip
def test_damage_ends_in_one_sentence(data):
    with pytest.raises(MediaError, match=r"^file .*(holds no data that can be read|so it is not read)$"):
        plain_values(data, "file")


def test_every_cut_and_every_flipped_byte_is_refused_or_read_as_plain_values():
    whole = pickle.dumps({"landmarks": np.zeros((2, 2)), "face_type": "head", "a": [1.5, (2, 3)]})
    changed = [whole[:place] for place in range(len(whole))]
    changed += [
        whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
        for place in range(len(whole))
        for bit in (1, 128)
    ]
    read = []
    for data in changed:
        with contextlib.suppress(MediaError):
            read.append(plain_values(data, "file"))
    # Most damage is refused; what is left, a changed letter or number, is data of the kinds that a pickle may hold.
    assert 0 < len(read) < len(changed)
    plain = (dict, list, tuple, set, str, bytes, int, float, type(None), np.ndarray, PickledArray)
    assert all(isinstance(value, plain) for value in read)


@pytest.mark.parametrize(
    "data",
    [
        b"]" * 100_000 + b".",
        b"(" * 100_000 + b".",
        b"]" + b"\x94" * 100_000 + b".",
        b"N" * 300_000 + b".",
        b")" * 100_000 + b".",
    ],
)
def test_a_small_file_does_not_take_much_memory(data):
    with pytest.raises(MediaError, match="too much memory"):
        plain_values(data, "file", max_memory_bytes=1 << 20)


def test_a_text_that_is_turned_into_bytes_again_and_again_is_counted():
    once = b"c_codecs\nencode\nh\x00U\x06latin1\x86R"
    data = b"\x80\x02X" + (1 << 16).to_bytes(4, "little") + b"a" * (1 << 16) + b"q\x00" + once * 100 + b"."
    with pytest.raises(MediaError, match="too much memory"):
        plain_values(data, "file", max_memory_bytes=1 << 20)


def test_code_named_by_lists_of_lists_is_not_written_out():
    """Each level holds the one below ten times: written out, a few hundred bytes would become gigabytes."""
    levels = b"".join(b"](" + bytes([ord("h"), n]) * 10 + b"e" + b"q" + bytes([n + 1]) for n in range(30))
    with pytest.raises(MediaError, match="names code by a value that is no text"):
        plain_values(b"\x80\x04]q\x00" + levels + b"\x8c\x01a\x93.", "file")


def test_references_to_itself_do_no_harm():
    endless: list[Any] = []
    endless.append(endless)
    found: Any = plain_values(pickle.dumps(endless), "file")
    assert found[0] is found


def test_every_instruction_of_python_is_either_followed_or_refused():
    assert len(pickletools.opcodes) > 60
    for opcode in pickletools.opcodes:
        data = io.BytesIO(opcode.code.encode("latin-1") + b"1\n" * 20 + b".").getvalue()
        try:
            plain_values(data, "file")
        except MediaError as error:
            assert str(error).startswith("file ")  # noqa: PT017
