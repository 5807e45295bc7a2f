// A worker or a client of the queue: worker ENDPOINT NAME, or client ENDPOINT NAME BODY. ZEROMQ names the directory of
// the package.
import { createRequire } from "node:module";

const zmq = createRequire(import.meta.url)(process.env.ZEROMQ);
const [role, endpoint, name, body] = process.argv.slice(2);
const socket = new zmq.Request({ routingId: name });
socket.connect(endpoint);
if (role === "client") {
  await socket.send(body);
  const [reply] = await socket.receive();
  console.log(reply.toString());
} else {
  await socket.send("READY");
  for (;;) {
    const [client, empty, request] = await socket.receive();
    await socket.send([client, empty, `${name}: ${request}`]);
  }
}
