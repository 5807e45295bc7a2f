<?php
// A worker or a client of the queue: worker ENDPOINT NAME, or client ENDPOINT NAME BODY.
[, $role, $endpoint, $name] = $argv;
$socket = new ZMQSocket(new ZMQContext(), ZMQ::SOCKET_REQ);
$socket->setSockOpt(ZMQ::SOCKOPT_IDENTITY, $name);
$socket->connect($endpoint);
if ($role === 'client') {
    $socket->send($argv[4]);
    echo $socket->recv(), "\n";
} else {
    $socket->send('READY');
    while (true) {
        [$client, $empty, $request] = $socket->recvMulti();
        $socket->sendMulti([$client, $empty, "$name: $request"]);
    }
}
