# A worker or a client of the queue: worker ENDPOINT NAME, or client ENDPOINT NAME BODY.
use strict;
use warnings;
use ZMQ::FFI qw(ZMQ_REQ);

$| = 1;
my ($role, $endpoint, $name, $body) = @ARGV;
my $context = ZMQ::FFI->new();
my $socket = $context->socket(ZMQ_REQ);
$socket->set_identity($name);
$socket->connect($endpoint);
if ($role eq 'client') {
    $socket->send($body);
    print $socket->recv(), "\n";
} else {
    $socket->send('READY');
    while (1) {
        my ($client, $empty, $request) = $socket->recv_multipart();
        $socket->send_multipart([$client, $empty, "$name: $request"]);
    }
}
