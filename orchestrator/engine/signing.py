"""The key that signs checkpoints: Ed25519, in a file, never in the database.

Beside the private key lies the public one, as `<name>.pub`. After
a key was changed that file holds several: each of them is believed.
"""

import contextlib
import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from orchestrator.core.errors import KeyUnusable

_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    keys: tuple[Ed25519PublicKey, ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """As `openssl pkey -pubin -outform DER | sha256sum` shows them."""
        return tuple(f"sha256:{hashlib.sha256(_der(key)).hexdigest()}" for key in self.keys)

    def signed(self, text: str, signature: str) -> bool:
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return False
        return any(_verifies(key, raw, text.encode()) for key in self.keys)


def public_path(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def read_public_keys(path: Path) -> PublicKeys:
    try:
        blocks = _BLOCK.findall(path.read_bytes())
        loaded = tuple(pem.load_pem_public_key(block) for block in blocks)
    except (OSError, ValueError) as error:
        raise KeyUnusable(path=str(path), reason=str(error)) from error
    keys = tuple(key for key in loaded if isinstance(key, Ed25519PublicKey))
    if not keys or len(keys) != len(loaded):
        raise KeyUnusable(path=str(path), reason="it holds no Ed25519 public key in PEM")
    return PublicKeys(keys)


def make_keys(path: Path) -> None:
    """At the first use. Of two processes that start at once, both use the first one's pair."""
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_once(path, text, 0o600)
        public = _private_key(path).public_key()
        block = public.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
        _write_once(public_path(path), block, 0o644)
    except OSError as error:
        raise KeyUnusable(
            path=str(path), reason=f"it cannot be written ({error.strerror})"
        ) from error


def sign(path: Path, text: str) -> str:
    private = _private_key(path)
    trusted = read_public_keys(public_path(path))
    if _der(private.public_key()) not in map(_der, trusted.keys):
        raise KeyUnusable(
            path=str(path), reason=f"its public half is not in {public_path(path)}; append it there"
        )
    return private.sign(text.encode()).hex()


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = pem.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnusable(path=str(path), reason=str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(path=str(path), reason="it is not an Ed25519 key")
    return key


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=mode)
    draft.write_bytes(content)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


def _verifies(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _der(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
