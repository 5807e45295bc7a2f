"""A worker or a client of the queue: worker ENDPOINT NAME, or client ENDPOINT NAME BODY."""

import sys

import zmq

role, endpoint, name, *body = sys.argv[1:]
socket = zmq.Context.instance().socket(zmq.REQ)
socket.routing_id = name.encode()
socket.connect(endpoint)
if role == "client":
    socket.send_string(body[0])
    print(socket.recv_string(), flush=True)
else:
    socket.send(b"READY")
    while True:
        client, empty, request = socket.recv_multipart()
        socket.send_multipart([client, empty, f"{name}: ".encode() + request])
