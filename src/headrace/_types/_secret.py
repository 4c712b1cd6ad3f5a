"""A key that does not show itself."""

from __future__ import annotations

__all__ = ("Secret",)


class Secret:
    """
    A key that never shows itself: not in repr, str, format, logs or tracebacks' locals; it refuses to be pickled.

    `reveal()` gives the text, for the one place that puts it into a header.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: pass the key to the other process by its own way")
