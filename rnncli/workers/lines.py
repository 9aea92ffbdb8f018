"""One end of a socket between two processes: frames of bytes, each of them good or the last words of a failure."""

import socket
import struct
from collections.abc import Sequence

GOOD, FAILURE = b"g", b"f"
_FRAME = struct.Struct("<cQ")  # which of the two, how many bytes follow


class Line:
    """One end of a socket.

    Parameters
    ----------
    end : socket.socket
        Connected.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, kind: bytes, payload: bytes) -> None:
        """Send a frame."""
        self.socket.sendall(_FRAME.pack(kind, len(payload)) + payload)

    def receive(self) -> tuple[bytes, bytes]:
        """Return kind and payload of the next frame; raises EOFError if the other end is closed."""
        kind, size = _FRAME.unpack(self._exactly(_FRAME.size))
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts


def pack_numbers(numbers: Sequence[float]) -> bytes:
    """Return numbers as bytes, exactly."""
    return struct.pack(f"<{len(numbers)}d", *numbers)


def unpack_numbers(payload: bytes) -> list[float]:
    """Return the numbers that :func:`pack_numbers` was given."""
    return list(struct.unpack(f"<{len(payload) // 8}d", payload))
