//! Socket files and abstract names.

use std::os::unix::net::UnixListener;
use std::path::Path;

use interop::{Place, Transport, socket};
use zmtp::{BindErrorKind, Config, Endpoint, Router};

fn router() -> Router {
    Router::new(Config::default()).unwrap()
}

fn ipc(path: &Path) -> Endpoint {
    format!("ipc://{}", path.display()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_where_somebody_listens_is_in_use() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x").parse().unwrap();
    let mut first = router();
    first.bind(&endpoint).await.unwrap();
    let error = router().bind(&endpoint).await.unwrap_err();
    assert!(matches!(error.kind(), BindErrorKind::InUse), "{error}");
    assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
    // The first is not disturbed.
    let context = zmq::Context::new();
    let req = socket(&context, zmq::REQ, "");
    req.connect(&endpoint.to_string()).unwrap();
    req.send("x", 0).unwrap();
    first.recv().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_file_that_nobody_listens_on_is_replaced() {
    let place = Place::new();
    let path = place.directory().join("stale");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    router().bind(&ipc(&path)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_file_is_an_error_and_is_left_alone() {
    let place = Place::new();
    let file = place.directory().join("file");
    std::fs::write(&file, "precious").unwrap();
    let directory = place.directory().join("directory");
    std::fs::create_dir(&directory).unwrap();
    let link = place.directory().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &directory, &link] {
        let error = router().bind(&ipc(path)).await.unwrap_err();
        assert!(matches!(error.kind(), BindErrorKind::NotASocket), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "precious");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_removed_on_close_and_the_path_can_be_bound_again() {
    let place = Place::new();
    let path = place.directory().join("x");
    for _ in 0..3 {
        let router = router();
        router.bind(&ipc(&path)).await.unwrap();
        router.close().await;
        assert!(!path.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_socket_removes_its_file() {
    let place = Place::new();
    let path = place.directory().join("x");
    let router = router();
    router.bind(&ipc(&path)).await.unwrap();
    drop(router);
    while path.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_put_in_its_place_is_left_alone() {
    let place = Place::new();
    let path = place.directory().join("x");
    let ours = router();
    ours.bind(&ipc(&path)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    ours.close().await;
    assert!(path.exists());
    drop(theirs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abstract_names_are_libzmqs() {
    let endpoint = format!("ipc://@zmtp-{}", std::process::id());
    let context = zmq::Context::new();
    let mut bound = router();
    bound.bind(&endpoint.parse().unwrap()).await.unwrap();
    let error = router().bind(&endpoint.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error.kind(), BindErrorKind::InUse), "{error}");
    let req = socket(&context, zmq::REQ, "");
    req.connect(&endpoint).unwrap();
    req.send("x", 0).unwrap();
    bound.recv().await.unwrap();
    bound.close().await;

    let endpoint = format!("{endpoint}-theirs");
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.bind(&endpoint).unwrap();
    dealer.send("x", zmq::DONTWAIT).unwrap_err();
    let mut connected = router();
    connected.connect(&endpoint.parse().unwrap()).unwrap();
    let sent = tokio::task::spawn_blocking(move || {
        dealer.send("x", 0).unwrap();
        dealer
    });
    connected.recv().await.unwrap();
    sent.await.unwrap();
}
