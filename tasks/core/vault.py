"""Where sealed numbers lie: encrypted in the restricted store, under a key that lies elsewhere.

The key is a file of $CAUSEWAY_KEYS, made when it is first needed. The ciphertext differs each time,
for its nonce is random: it is named by no checksum of a run.
"""

import base64
import binascii
import hashlib
import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tasks.core.errors import CausewayError, UsageError
from tasks.core.paths import PROJECT_ROOT, Home

KEY_FILE = "seal.key"
_BITS, _NONCE_BYTES = 256, 12
_DEFAULT = Path("~/.config/causeway/keys")


class SealError(CausewayError):
    """What is sealed cannot be sealed, or not be opened."""

    default_code = "E_SEAL"


def keys_folder(home: Home) -> Path:
    """Return the folder of keys.

    Raises:
        SealError: It lies in the home or in the repository, where copies of both would take it.
    """
    folder = Path(os.environ.get("CAUSEWAY_KEYS") or _DEFAULT).expanduser().resolve()
    for place in (home.root.resolve(), PROJECT_ROOT):
        if folder.is_relative_to(place):
            what = f"keys may not lie in {place}"
            raise SealError(str(folder), what, "set CAUSEWAY_KEYS to a folder of its own.")
    return folder


def sealed_file(home: Home, study_id: str, run_id: str) -> Path:
    """File with the sealed numbers of a run."""
    return home.restricted / "sealed" / study_id / f"{run_id}.json"


def seal(home: Home, study_id: str, run_id: str, content: bytes) -> Path:
    """Encrypt the sealed numbers of a run; return the file, which was written in one step.

    Raises:
        SealError: The key cannot be made or read.
    """
    key, nonce = _key(home, make=True), secrets.token_bytes(_NONCE_BYTES)
    hidden = AESGCM(key).encrypt(nonce, content, _context(study_id, run_id))
    envelope = {
        "version": 1,
        "cipher": "AES-256-GCM",
        "key_id": _key_id(key),
        "nonce": base64.b64encode(nonce).decode(),
        "content": base64.b64encode(hidden).decode(),
    }
    file = sealed_file(home, study_id, run_id)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_private(file, json.dumps(envelope, indent=2).encode() + b"\n")
    return file


def unseal(home: Home, study_id: str, run_id: str) -> bytes:
    """Return the sealed numbers of a run.

    Raises:
        UsageError: The run has sealed nothing.
        SealError: The key is missing or another one, or the file was changed.
    """
    file = sealed_file(home, study_id, run_id)
    if not file.is_file():
        what = f"run {run_id} has nothing sealed"
        raise UsageError(study_id, what, "name another run, or read its results.parquet.")
    key = _key(home, make=False)
    try:
        envelope = json.loads(file.read_text(encoding="utf-8"))
        if envelope["key_id"] != _key_id(key):
            what = f"was sealed under key {envelope['key_id']}, and {KEY_FILE} is another one"
            raise SealError(str(file), what, "bring that key back into CAUSEWAY_KEYS.")
        nonce, hidden = (
            base64.b64decode(envelope[name], validate=True) for name in ("nonce", "content")
        )
        return AESGCM(key).decrypt(nonce, hidden, _context(study_id, run_id))
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidTag):
        what = "was changed since it was sealed, or belongs to another run"
        raise SealError(str(file), what, "bring it back from a backup, or run again.") from None


def _context(study_id: str, run_id: str) -> bytes:
    """What the ciphertext belongs to: it opens under no other name."""
    return f"causeway/{study_id}/{run_id}".encode()


def _key(home: Home, *, make: bool) -> bytes:
    file = keys_folder(home) / KEY_FILE
    if make and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_key(file)
    try:
        mode, text = file.stat().st_mode, file.read_bytes()
    except OSError as exc:
        fix = "bring the key back from its backup; without it nothing sealed can be opened."
        raise SealError(str(file), f"cannot be read ({exc.strerror})", fix) from None
    if mode & 0o077:
        raise SealError(str(file), "can be read by others", "take it back: `chmod 600`.")
    try:
        key = base64.b64decode(text, validate=False)
    except binascii.Error:
        key = b""
    if len(key) * 8 != _BITS:
        raise SealError(str(file), "holds no key", "bring the key back from its backup.")
    return key


def _make_key(file: Path) -> None:
    """Write a new key, complete or not at all; whoever comes second takes the first one's."""
    fresh = file.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    _write_private(fresh, base64.b64encode(AESGCM.generate_key(_BITS)) + b"\n")
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def _key_id(key: bytes) -> str:
    """Name a key without telling it."""
    return hashlib.sha256(b"causeway key\n" + key).hexdigest()[:12]
