/* A worker or a client of the queue, with czmq: worker ENDPOINT NAME, or client ENDPOINT NAME BODY. */
#include <czmq.h>

int main(int argc, char *argv[])
{
    if (argc < 4)
        return 2;
    zsock_t *socket = zsock_new(ZMQ_REQ);
    zsock_set_identity(socket, argv[3]);
    zsock_connect(socket, "%s", argv[2]);
    if (streq(argv[1], "client")) {
        zstr_send(socket, argv[4]);
        char *reply = zstr_recv(socket);
        puts(reply);
        zstr_free(&reply);
    } else {
        zstr_send(socket, "READY");
        for (;;) {
            zmsg_t *message = zmsg_recv(socket);
            if (!message)
                break;
            zframe_t *client = zmsg_unwrap(message);
            char *request = zmsg_popstr(message);
            zmsg_addstrf(message, "%s: %s", argv[3], request);
            zstr_free(&request);
            zmsg_wrap(message, client);
            zmsg_send(&message, socket);
        }
    }
    zsock_destroy(&socket);
    return 0;
}
