"""Sends segment documents as SDKs do."""

import socket

HEADER = b'{"format": "json", "version": 1}\n'


class Datagrams:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)

    def send(self, document):
        """One document, as text."""
        self.socket.sendto(HEADER + document.encode(), self.address)
