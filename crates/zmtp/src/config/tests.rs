use super::*;

#[test]
fn the_default_is_valid_and_each_wrong_field_is_named() {
    let default = Config::default();
    assert_eq!(default.validate(SocketType::Router), Ok(()));
    let field = |config: Config| config.validate(SocketType::Req).unwrap_err().field();
    assert_eq!(field(default.clone().with_identity(vec![1; 256])), "identity");
    assert_eq!(field(default.clone().with_identity("\0x")), "identity");
    assert_eq!(field(default.clone().with_send_hwm(0)), "send_hwm");
    assert_eq!(field(default.clone().with_recv_hwm(0)), "recv_hwm");
    let limits = Limits::default().with_max_frames(0);
    assert_eq!(field(default.clone().with_limits(limits)), "limits.max_frames");
    let second = Duration::from_secs(1);
    assert_eq!(field(default.with_reconnect(second, second / 2)), "reconnect_min");
    assert_eq!(field(Config::default().with_max_connections(0)), "max_connections");
    assert_eq!(field(Config::default().with_max_pending_handshakes(0)), "max_pending_handshakes");
    assert_eq!(field(Config::default().with_release(Release::Explicit)), "release");
    assert_eq!(field(Config::default().with_on_full(OnFull::Drop)), "on_full");
    assert_eq!(field(Config::default().with_property("Identity", "x")), "properties");
    assert_eq!(field(Config::default().with_property("X-big", vec![0; 3000])), "properties");
    for keepalive in [
        Keepalive { idle: Some(Duration::ZERO), ..Keepalive::default() },
        Keepalive { interval: Some(Duration::MAX), ..Keepalive::default() },
        Keepalive { count: Some(0), ..Keepalive::default() },
    ] {
        let transport = TransportOptions::default().with_keepalive(keepalive);
        let field = field(Config::default().with_transport(transport));
        assert_eq!(field, "transport.keepalive");
    }
}
