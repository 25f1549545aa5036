"""A small DNS server on port 53 of loopback that says what the test wants."""

import contextlib
import ipaddress
import socket
import struct
import threading

TYPES = {1: "A", 5: "CNAME", 12: "PTR", 16: "TXT", 28: "AAAA"}
NUMBERS = {name: number for number, name in TYPES.items()}
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


def encode_name(name):
    """A name in labels, without compression."""
    labels = [label for label in name.encode("latin-1").split(b".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_data(kind, value):
    """The data of a record: an address, a name, or one or several strings. Bytes are taken as they are."""
    if isinstance(value, bytes):
        return value
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind in ("PTR", "CNAME"):
        return encode_name(value)
    strings = [value] if isinstance(value, str) else value
    return b"".join(bytes([len(text)]) + text.encode("latin-1") for text in strings)


class Server:
    """`zone` maps (name, type) to a list of values, to a response code, or to a function that is given
    the query and whether it came over TCP and returns the reply (None for silence). A list may hold
    (name, type, value) for records of other names. Names that are not there do not exist; `queries`
    has every (name, type, is TCP) asked for."""

    def __init__(self, zone, address="127.0.0.1"):
        self.zone = {(name.lower(), kind): answer for (name, kind), answer in zone.items()}
        self.address = address
        self.queries = []

    def reply(self, query, is_tcp):
        name, kind, end = self._question(query)
        self.queries.append((name, kind, is_tcp))
        answer = self.zone.get((name.lower(), kind))
        if callable(answer):
            return answer(self, query, is_tcp)
        if answer is None:
            exists = any(name.lower() == other for other, _ in self.zone)
            return self.message(query, [], code=0 if exists else NXDOMAIN)
        if isinstance(answer, int):
            return self.message(query, [], code=answer)
        return self.message(query, answer)

    def message(self, query, answers, code=0, truncated=False):
        """A reply to `query` with `answers`."""
        name, kind, end = self._question(query)
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        records = b""
        for answer in answers:
            owner, type_, value = answer if isinstance(answer, tuple) else (None, kind, answer)
            data = encode_data(type_, value)
            records += (encode_name(owner) if owner else b"\xc0\x0c") + struct.pack(
                ">HHIH", NUMBERS[type_], 1, 60, len(data)) + data
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 0, 0) + query[12:end] + records

    @staticmethod
    def _question(query):
        labels, position = [], 12
        while query[position]:
            labels.append(query[position + 1:position + 1 + query[position]].decode("latin-1"))
            position += query[position] + 1
        kind = struct.unpack(">H", query[position + 1:position + 3])[0]
        return ".".join(labels), TYPES.get(kind, str(kind)), position + 5

    @contextlib.contextmanager
    def running(self):
        """Serves during the block."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as listener:
            datagrams.bind((self.address, 53))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address, 53))
            listener.listen(16)
            threads = [threading.Thread(target=target, args=[source], daemon=True)
                       for target, source in ((self._serve_udp, datagrams), (self._serve_tcp, listener))]
            for thread in threads:
                thread.start()
            try:
                yield self
            finally:
                # Both threads wait in a call that shutdown ends, and close alone does not.
                for source in (datagrams, listener):
                    with contextlib.suppress(OSError):
                        source.shutdown(socket.SHUT_RDWR)
                for thread in threads:
                    thread.join(5)

    def _serve_udp(self, datagrams):
        with contextlib.suppress(OSError):
            while True:
                query, sender = datagrams.recvfrom(4096)
                if len(query) < 12:
                    return
                reply = self.reply(query, False)
                if reply is not None:
                    datagrams.sendto(reply, sender)

    def _serve_tcp(self, listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    length = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))[0]
                    reply = self.reply(connection.recv(length, socket.MSG_WAITALL), True)
                    if reply is not None:
                        connection.sendall(struct.pack(">H", len(reply)) + reply)
