"""Gets one URL through a door of certproxy, with Python's own libraries.

client.py DOOR PROXY URL CA

DOOR is connect, absolute or forward; PROXY is http://, https:// or unix:; CA is what
to trust. Prints the status and the body.
"""

import http.client
import io
import os
import socket
import ssl
import sys
import urllib.request
from urllib.parse import urlsplit

door, proxy, url, ca = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)


def by_urllib():
    """What most programs do: the standard library's proxy support."""
    scheme = urlsplit(url).scheme
    proxies = {} if door == "forward" else {scheme: proxy}
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=trust),
    )
    try:
        response = opener.open(url, timeout=20)
    except urllib.error.HTTPError as e:
        response = e
    return response.status, response.read()


class Nested:
    """TLS inside of TLS, which ssl can do over buffers only."""

    def __init__(self, outer, name):
        self.outer, self.sent, self.got = outer, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trust.wrap_bio(self.got, self.sent, server_hostname=name)
        self.do(self.tls.do_handshake)

    def do(self, what, *args):
        while True:
            try:
                result = what(*args)
            except ssl.SSLWantReadError:
                result = None
            self.outer.sendall(self.sent.read())
            if result is not None or what == self.tls.do_handshake and self.tls.version():
                return result
            data = self.outer.recv(65536)
            self.got.write(data) if data else self.got.write_eof()

    def sendall(self, data):
        self.do(self.tls.write, data)

    def makefile(self, mode):
        whole = b""
        while True:
            try:
                part = self.do(self.tls.read, 65536)
            except ssl.SSLEOFError:
                part = b""
            if not part:
                return io.BytesIO(whole)
            whole += part

    def close(self):
        self.outer.close()


def by_socket():
    """Over a unix socket or TLS, which urllib does not know for proxies."""
    where, target = urlsplit(proxy), urlsplit(url)
    if where.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(where.path)
    else:
        sock = socket.create_connection((where.hostname, where.port), timeout=20)
        if where.scheme == "https":
            sock = trust.wrap_socket(sock, server_hostname=where.hostname)
    connection = http.client.HTTPConnection(target.netloc)
    connection.sock = sock
    what = url
    if door == "connect":
        connection.request("CONNECT", target.netloc, headers={"Host": target.netloc})
        answer = connection.sock.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += connection.sock.recv(65536)
        status = int(answer.split()[1])
        if status != 200:
            return status, answer
        if where.scheme == "https":
            sock = Nested(sock, target.hostname)
        else:
            sock = trust.wrap_socket(sock, server_hostname=target.hostname)
        connection = http.client.HTTPConnection(target.netloc)
        connection.sock = sock
        what = target.path
    elif door == "forward":
        what = target.path
    connection.request("GET", what, headers={"Host": target.netloc, "Connection": "close"})
    response = connection.getresponse()
    return response.status, response.read()


plain = urlsplit(proxy).scheme == "http" and (door != "absolute" or urlsplit(url).scheme == "http")
status, body = (by_urllib if plain else by_socket)()
os.write(1, b"%d %s" % (status, body))
