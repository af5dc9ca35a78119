"""Distinguished encoding rules of ASN.1, as far as signatures need them: ITU-T X.690."""

from collections.abc import Iterator

from osloom.base.errors import Error

NULL = b"\x05\x00"


def element(tag: int, *parts: bytes) -> bytes:
    """One value: its tag, its length, and `parts` one behind the other."""
    content = b"".join(parts)
    count = len(content)
    if count < 128:
        return bytes([tag, count]) + content
    length = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    return element(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """X.690 11.6: a set is sorted by its encoded values."""
    return element(0x31, *sorted(parts))


def octets(content: bytes) -> bytes:
    return element(0x04, content)


def integer(number: int) -> bytes:
    return element(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def explicit(number: int, content: bytes) -> bytes:
    """`[number] EXPLICIT`."""
    return element(0xA0 | number, content)


def identifier(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *others = (int(one) for one in dotted.split("."))
    return element(0x06, *(_base128(one) for one in (first * 40 + second, *others)))


def _base128(number: int) -> bytes:
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(0x80 | number & 0x7F)
    return bytes(reversed(found))


def read_elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The values that lie in `data` one behind the other: tag, content, and all of it.

    Raises Error for what is no DER; tags have one byte.
    """
    position = 0
    while position < len(data):
        start = position + 2
        count = data[position + 1] if start <= len(data) else 0x80
        if count > 0x80:
            start, digits = start + count - 0x80, data[start : start + count - 0x80]
            count = int.from_bytes(digits, "big")
        elif count == 0x80:
            raise Error("it is no DER: a value has no length")
        if start + count > len(data):
            raise Error("it is no DER: a value is cut off")
        yield data[position], data[start : start + count], data[position : start + count]
        position = start + count
