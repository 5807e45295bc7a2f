"""A pyzmq socket that sends back what it receives; tests/src/echo.rs says what it does.

Usage: python echo.py REQ|REP|DEALER|ROUTER bind|connect ENDPOINT
"""

import os
import sys
import threading

import zmq

FIRST = {"REQ": [b"READY"], "DEALER": [b"", b"READY"]}


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


def main(kind, way, endpoint):
    threading.Thread(target=end_with_input, daemon=True).start()
    socket = zmq.Context.instance().socket(getattr(zmq, kind))
    socket.routing_id = b"PEER"
    socket.reconnect_ivl = 10
    getattr(socket, way)(endpoint)
    print("ready", flush=True)
    if kind in FIRST:
        socket.send_multipart(FIRST[kind])
    while True:
        message = socket.recv_multipart()
        if message[-1] == b"MUTE":
            print("muted", flush=True)
            threading.Event().wait()
        socket.send_multipart(message)


main(*sys.argv[1:])
