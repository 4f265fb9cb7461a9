"""The code of a mark, by hand where it can be."""

import numpy as np
import pytest

from shared.marking.payload import CODE_BITS, PREFIX, Payload, checked, checksum, decode, encode


def test_the_bits_of_a_payload_are_version_kind_and_record():
    payload = Payload.of("swap", "abcdef" + "0" * 58)
    assert payload.text == "11abcdef"  # version 1, kind 1 (swap), 24 bits of the digest
    assert Payload.from_number(0x11ABCDEF) == payload
    assert Payload.from_number(0x1F000001) == Payload("unknown 15", "000001", 1)


def test_the_checksum_is_crc_8_of_the_four_bytes():
    # The check value of CRC-8 (polynomial 0x07, start 0) over one byte 0x01 is the polynomial itself.
    assert checksum(0x00000000) == 0x00
    assert checksum(0x00000001) == 0x07
    assert checksum(0x00000002) == 0x0E
    # 0x80 shifted seven times is 0x4000's remainder: 0x89 by hand division with x^8 + x^2 + x + 1.
    assert checksum(0x00000080) == 0x89
    assert checked(0x00000001 << 8 | 0x07) == 1
    assert checked(0x00000001 << 8 | 0x06) is None


def test_the_code_is_linear_and_its_words_are_far_apart():
    assert (encode(0) == 1).all()  # a checksum of 0, and no bit set
    assert np.array_equal(encode(0x11ABCDEF) * encode(0x00F0F0F0), encode(0x11ABCDEF ^ 0x00F0F0F0))
    # Any two words of a linear code differ in as many bits as some word has ones: at least the free distance, 24.
    assert min(int((encode(1 << place) == -1).sum()) for place in range(32)) >= 24


@pytest.mark.parametrize("number", [0, 1, 0x11ABCDEF, 2**32 - 1])
def test_a_code_is_decoded_after_thirty_errors_of_160(number):
    code = encode(number).astype(np.float64)
    wrong = np.random.default_rng(number % 1000).choice(CODE_BITS, 30, replace=False)
    code[wrong] *= -1
    assert checked(decode(code[None])[0]) == number


def test_bits_that_are_known_help_to_decode():
    number = 0x11ABCDEF
    rng = np.random.default_rng(2)
    soft = encode(number) + rng.normal(0, 1.9, (24, CODE_BITS))
    free = sum(checked(word) == number for word in decode(soft))
    known = decode(soft, PREFIX)
    assert sum(checked(word) == number for word in known) > free
    assert {word >> 35 for word in known} == {0b00010}


def test_noise_alone_seldom_has_a_right_checksum():
    words = decode(np.random.default_rng(3).normal(size=(24, CODE_BITS)))
    assert sum(checked(word) is not None for word in words) <= 2


def test_a_payload_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="32 bits"):
        encode(1 << 32)
    with pytest.raises(ValueError, match="kinds"):
        Payload.of("joke", "00" * 32)
