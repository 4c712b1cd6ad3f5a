"""
Credentials that a vendor or a proxy quotes, masked in what an error says.

Words of an answer are never altered: a model may say what looks like a key. Knows no vendor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .._recorder import MASKED_FROM, is_sensitive
from .._types import Secret

__all__ = ("Mask", "credentials")

HIDDEN: Final = "***"
_CREDENTIAL: Final = ("key", "token", "password", "credential")  # of requests only: answers tell limits of tokens


def credentials(headers: Mapping[str, Secret]) -> list[Secret]:
    """Those of a request's own headers that are credentials, by their names."""
    return [
        value
        for name, value in headers.items()
        if is_sensitive(name) or any(word in name.lower() for word in _CREDENTIAL)
    ]


class Mask:
    """Hides the credentials of one request."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets = [one for one in secrets if len(one.reveal()) >= MASKED_FROM]

    def text(self, text: str) -> str:
        """`text` without them."""
        for secret in self._secrets:
            text = text.replace(secret.reveal(), HIDDEN)
        return text

    def data(self, data: bytes) -> bytes:
        """`data` without them."""
        for secret in self._secrets:
            data = data.replace(secret.reveal().encode(), HIDDEN.encode())
        return data

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` without them."""
        return {name: self.text(value) for name, value in headers.items()}

    def error(self, error: BaseException) -> None:
        """Take them off an error and all that it came from: texts, codes, ids; and the frames, if one was quoted."""
        links: list[BaseException] = []
        link: BaseException | None = error
        while link is not None:
            links.append(link)
            link = link.__cause__ or link.__context__
        quoted = False
        for one in links:
            told = {name: self.text(value) for name, value in vars(one).items() if isinstance(value, str)}
            args = tuple(self.text(arg) if isinstance(arg, str) else arg for arg in one.args)
            if args != one.args or any(vars(one)[name] != text for name, text in told.items()):
                quoted, one.args = True, args
                vars(one).update(told)
        if quoted:
            for one in links:
                one.__traceback__ = None  # their locals are what the vendor sent
