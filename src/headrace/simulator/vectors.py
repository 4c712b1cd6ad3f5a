"""
Embeddings without a model: equal texts have equal vectors, others have others, all of unit length.

The numbers are those of 32-bit floats, so that JSON and base64 (little-endian float32, as OpenAI packs them) tell the
same. A shorter vector is the beginning of the long one, stretched to unit length again, as models are trained for it.
"""

from __future__ import annotations

import base64
import math
import random
import struct

__all__ = ("packed", "vector")


def vector(text: str, size: int, *, seed: int) -> list[float]:
    """The vector of `text`, of `size` numbers from 1."""
    data = random.Random(f"{seed}/{text}").randbytes(2 * size)
    numbers = struct.unpack(f"<{size}h", data)
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return list(struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *(number / length for number in numbers))))


def packed(numbers: list[float]) -> str:
    """A vector in base64."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
