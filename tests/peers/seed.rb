# The clients and workers of the queue, on libzmq, without a queue among them.
# Usage: ruby seed.rb clients-first|workers-first

require "ffi-rzmq"

CLIENTS = 10
WORKERS = 3

$stdout.sync = true

def checked(code)
  raise ZMQ::Util.error_string unless ZMQ::Util.resultcode_ok?(code)
end

# Yields a REQ socket that is connected under this identity.
def req(identity, endpoint)
  context = ZMQ::Context.new
  socket = context.socket(ZMQ::REQ)
  checked socket.setsockopt(ZMQ::IDENTITY, identity)
  checked socket.setsockopt(ZMQ::LINGER, 0)
  checked socket.connect(endpoint)
  yield socket
ensure
  socket.close
  context.terminate
end

def receive(socket)
  checked socket.recv_string(text = +"")
  text
end

def client(identity)
  req(identity, "ipc://frontend.ipc") do |socket|
    checked socket.send_string((1 + rand(3)).to_s)
    printf("%11s: REP %2s\n", identity, receive(socket))
  end
end

def worker(identity)
  req(identity, "ipc://backend.ipc") do |socket|
    checked socket.send_string("READY")
    loop do
      client = receive(socket)
      receive(socket)
      work = receive(socket)
      printf("%11s: REQ %2s from %s\n", identity, work, client)
      sleep(work.to_i)
      checked socket.send_strings([client, "", "OK from #{identity}"])
    end
  end
end

clients = lambda { CLIENTS.times.map { |i| Thread.new { client("CLIENT-#{i}") } } }
workers = lambda { WORKERS.times { |i| Thread.new { worker("PROCESSOR-#{i}") } } }

if ARGV == ["clients-first"]
  waiting = clients.call
  sleep(0.5)
  workers.call
else
  workers.call
  sleep(0.5)
  waiting = clients.call
end
waiting.each(&:join)
exit!(0)
