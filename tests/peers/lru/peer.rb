# A worker or a client of the queue: worker ENDPOINT NAME, or client ENDPOINT NAME BODY.
require 'ffi-rzmq'

role, endpoint, name, body = ARGV
socket = ZMQ::Context.new.socket(ZMQ::REQ)
socket.setsockopt(ZMQ::IDENTITY, name)
socket.connect(endpoint)
if role == 'client'
  socket.send_string(body)
  socket.recv_string(reply = '')
  puts reply
else
  socket.send_string('READY')
  loop do
    socket.recv_strings(frames = [])
    client, empty, request = frames
    socket.send_strings([client, empty, "#{name}: #{request}"])
  end
end
