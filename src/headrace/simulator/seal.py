"""
What a simulated vendor signs, it can verify later, without having kept anything.

A signature carries a nonce, a proof that this simulator wrote it, and a proof of the text that it was written for.
Equal seeds make equal signatures: a conversation may go on with another simulator of the same seed. No secret: the key
is the seed. Rule: what was signed goes back byte for byte (Anthropic, extended thinking; Gemini, thought signatures).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ("Seal", "Verdict")

Verdict: TypeAlias = Literal["good", "changed", "foreign"]

NONCE: Final = 12  # bytes
PROOF: Final = 24


@dataclass(frozen=True, slots=True)
class Seal:
    """The signing hand of one simulator. `kind` keeps apart what must not be taken for another."""

    seed: int = 0

    def sign(self, kind: str, text: str, ident: int) -> str:
        """A signature of `text`, in base64. `ident` is the answer's: two answers of one text are signed differently."""
        nonce = hashlib.sha256(f"{kind}/{ident}".encode()).digest()[:NONCE]
        return base64.b64encode(nonce + self._proof(kind, nonce) + self._proof(kind, nonce, text)).decode()

    def check(self, kind: str, text: str, signature: object) -> Verdict:
        """Whether `signature` is one of ours ("foreign" if not), and of this very text ("changed" if not)."""
        try:
            data = base64.b64decode(signature if isinstance(signature, str) else "", validate=True)
        except (binascii.Error, ValueError):
            return "foreign"
        nonce, own, proof = data[:NONCE], data[NONCE : NONCE + PROOF], data[NONCE + PROOF :]
        if not hmac.compare_digest(own, self._proof(kind, nonce)):
            return "foreign"
        return "good" if hmac.compare_digest(proof, self._proof(kind, nonce, text)) else "changed"

    def mark(self, ident: str) -> str:
        """Four characters that turn `ident` into an identifier which `marked` knows again."""
        return self._proof("mark", ident.encode()).hex()[:4]

    def marked(self, ident: str) -> bool:
        """Whether `ident` ends in its mark."""
        return self.mark(ident[:-4]) == ident[-4:]

    def _proof(self, kind: str, nonce: bytes, text: str | None = None) -> bytes:
        words = b"" if text is None else b"\0" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(f"{self.seed}/{kind}".encode(), nonce + words, "sha256")[:PROOF]
