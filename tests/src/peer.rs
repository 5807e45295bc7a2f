//! A libzmq socket that sends back what it receives, in a process that can be killed.
//!
//! `peer REQ|REP|DEALER|ROUTER bind|connect ENDPOINT`; see `interop::Echo` for what it does.

use std::io::Read;

use interop::MUTE;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, of, way, endpoint] = &args[..] else { panic!("peer TYPE bind|connect ENDPOINT") };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let (socket_type, first): (_, &[&str]) = match &of[..] {
        "REQ" => (zmq::REQ, &["READY"]),
        "REP" => (zmq::REP, &[]),
        "DEALER" => (zmq::DEALER, &["", "READY"]),
        "ROUTER" => (zmq::ROUTER, &[]),
        _ => panic!("no such type"),
    };
    let context = zmq::Context::new();
    let socket = context.socket(socket_type).unwrap();
    socket.set_identity(b"PEER").unwrap();
    socket.set_reconnect_ivl(10).unwrap();
    let joined = if way == "bind" { socket.bind(endpoint) } else { socket.connect(endpoint) };
    joined.unwrap();
    println!("ready");
    if !first.is_empty() {
        socket.send_multipart(first, 0).unwrap();
    }
    loop {
        let message = socket.recv_multipart(0).unwrap();
        if message.last().is_some_and(|part| part == MUTE.as_bytes()) {
            println!("muted");
            loop {
                std::thread::park();
            }
        }
        socket.send_multipart(message, 0).unwrap();
    }
}
