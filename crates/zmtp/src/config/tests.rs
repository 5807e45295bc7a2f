use super::*;

#[test]
fn the_default_is_valid_and_each_wrong_field_is_named() {
    let default = Config::default();
    assert_eq!(default.validate(), Ok(()));
    let field = |config: Config| config.validate().unwrap_err().field();
    assert_eq!(field(default.clone().with_identity(vec![1; 256])), "identity");
    assert_eq!(field(default.clone().with_identity("\0x")), "identity");
    assert_eq!(field(default.clone().with_send_hwm(0)), "send_hwm");
    assert_eq!(field(default.clone().with_recv_hwm(0)), "recv_hwm");
    let limits = Limits::default().with_max_frames(0);
    assert_eq!(field(default.clone().with_limits(limits)), "limits.max_frames");
    let second = Duration::from_secs(1);
    assert_eq!(field(default.with_reconnect(second, second / 2)), "reconnect_min");
}
