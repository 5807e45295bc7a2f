//! What the compiler can say of the API: what may be sent to other tasks and threads.

use futures::{Sink, Stream};
use zmtp::{
    Config, Dealer, DealerSender, Endpoint, Message, Monitor, MonitorEvent, Peer, PeerEvent,
    PeerId, Rep, Req, Router, RouterSender, SendError, SendErrorKind, Socket, Unsent,
};

fn is_send<T: Send>(value: T) -> T {
    value
}

fn is_shared<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}

#[test]
fn sockets_and_what_they_give_may_go_to_any_thread() {
    is_shared::<Socket>();
    is_shared::<Req>();
    is_shared::<Rep>();
    is_shared::<Dealer>();
    is_shared::<Router>();
    is_shared::<DealerSender>();
    is_shared::<RouterSender>();
    is_shared::<Monitor>();
    is_shared::<(Config, Endpoint, Message, Peer, PeerEvent, PeerId, MonitorEvent, Unsent)>();
}

#[tokio::test]
async fn all_futures_may_go_to_any_thread() {
    let endpoint: Endpoint = "ipc://@never".parse().unwrap();
    let (mut req, mut rep) =
        (Req::new(Config::default()).unwrap(), Rep::new(Config::default()).unwrap());
    let (mut dealer, mut router) =
        (Dealer::new(Config::default()).unwrap(), Router::new(Config::default()).unwrap());
    drop(is_send(req.bind(&endpoint)));
    drop(is_send(req.unbind(&endpoint)));
    drop(is_send(req.disconnect(&endpoint)));
    drop(is_send(req.request(Message::new())));
    drop(is_send(req.send(Message::new())));
    drop(is_send(req.recv()));
    drop(is_send(rep.recv()));
    drop(is_send(rep.send(Message::new())));
    drop(is_send(dealer.send(Message::new())));
    drop(is_send(dealer.recv()));
    drop(is_send(dealer.recv_event()));
    drop(is_send(dealer.recv_many(&mut Vec::new(), 1)));
    drop(is_send(dealer.sender().send(Message::new())));
    drop(is_send(router.recv()));
    drop(is_send(router.recv_event()));
    drop(is_send(router.recv_many(&mut Vec::new(), 1)));
    drop(is_send(router.send_to(b"nobody", Message::new())));
    drop(is_send(router.monitor().recv()));
    drop(is_send(req.close()));
    drop(is_send(rep.close()));
    drop(is_send(dealer.close()));
    drop(is_send(router.close()));
}

#[test]
fn sockets_are_streams_and_senders_become_sinks() {
    fn stream<T: Stream<Item = I>, I>(_: &T) {}
    fn sink<T: Sink<I, Error = SendError>, I>(_: &T) {}
    let dealer = Dealer::new(Config::default()).unwrap();
    stream::<_, Message>(&dealer);
    sink::<_, Message>(&dealer.sender().into_sink());
    let router = Router::new(Config::default()).unwrap();
    stream::<_, PeerEvent>(&router);
    sink::<_, (PeerId, Message)>(&router.sender().into_sink());
    stream::<_, MonitorEvent>(&router.monitor().into_stream());
}

#[tokio::test]
async fn a_message_without_parts_is_an_error_of_each_socket_and_comes_back() {
    let config = Config::default;
    let empty = |sent: Result<(), SendError>| {
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.into_message()), (SendErrorKind::Empty, Message::new()));
    };
    let endpoint = "ipc://@nobody-is-here".parse().unwrap();
    let mut req = Req::new(config()).unwrap();
    req.connect(&endpoint).unwrap();
    empty(req.send(Message::new()).await);
    let dealer = Dealer::new(config()).unwrap();
    dealer.connect(&endpoint).unwrap();
    empty(dealer.send(Message::new()).await);
    let router = Router::new(config()).unwrap();
    router.connect_as(&endpoint, "PEER").unwrap();
    empty(router.send_to(b"PEER", Message::new()).await);
    let mut rep = Rep::new(config()).unwrap();
    let bound = rep.bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    req.disconnect(&endpoint).await.unwrap();
    req.connect(&bound).unwrap();
    req.send(Message::from("x")).await.unwrap();
    rep.recv().await.unwrap();
    empty(rep.send(Message::new()).await);
    rep.send(Message::from("the reply is still due")).await.unwrap();
}
