//! The page in headless Chromium.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::get;

/// What the page is given to look at it: time passes as fast as answers come.
const LOOKS: &str = "--virtual-time-budget=6000";

fn chromium(url: &str, options: &[&str]) -> Vec<u8> {
    let profile = tempfile::tempdir().unwrap();
    let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let mut command = Command::new(program);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", LOOKS])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(url)
        .stderr(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

/// What a page has become.
pub(crate) struct Dom(pub(crate) String);

impl Dom {
    pub(crate) fn of(url: &str) -> Self {
        Self(String::from_utf8(chromium(url, &["--dump-dom"])).unwrap())
    }

    /// The text of an element, without what is in it.
    pub(crate) fn text(&self, id: &str) -> &str {
        let behind = self.0.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}")).1;
        behind.split_once('>').unwrap().1.split('<').next().unwrap()
    }

    /// What is between the tags of an element that has none of its kind in it.
    pub(crate) fn inside(&self, id: &str, tag: &str) -> &str {
        let behind = self.0.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}")).1;
        behind.split_once('>').unwrap().1.split(&format!("</{tag}>")).next().unwrap()
    }
}

/// Takes a picture.
pub(crate) fn photograph(url: &str, width: u32, height: u32, path: &Path) {
    let size = format!("--window-size={width},{height}");
    chromium(url, &[&size, &format!("--screenshot={}", path.display())]);
    assert!(std::fs::metadata(path).unwrap().len() > 10_000, "{}", path.display());
}

/// Stands in front of a queue: passes on what it serves, or what it does not.
pub(crate) struct Proxy {
    address: String,
}

/// As on a telephone, 390 points wide. The page must not be wider.
const PHONE: &str = "<!doctype html><body style='margin:0'><iframe src='/' style='border:0;width:390px;height:2600px'>\
</iframe><p id='width'></p><script>setInterval(() => { width.textContent = \
frames[0].document.documentElement.scrollWidth; }, 500)</script>";

impl Proxy {
    /// Without a queue behind it, the page is there and nothing else.
    pub(crate) fn start(queue: &str, has_queue: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let queue = queue.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, queue) = (stream.unwrap(), queue.clone());
                std::thread::spawn(move || pass_on(stream, &queue, has_queue));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A browser may go away at any time.
fn pass_on(mut stream: TcpStream, queue: &str, has_queue: bool) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.extend(byte);
    }
    let request = String::from_utf8(request).ok()?;
    let path = request.split(' ').nth(1)?;
    let is_page = path == "/" || path.starts_with("/page.");
    let (code, head, body) = if path == "/phone" {
        ("200 OK", "Content-Type: text/html".to_owned(), PHONE.into())
    } else if has_queue || is_page {
        let (head, body) = get(queue, path);
        let content_type = head.lines().find(|line| line.starts_with("content-type"))?;
        ("200 OK", content_type.to_owned(), body)
    } else {
        ("503 Service Unavailable", String::new(), b"the queue does not answer\n".to_vec())
    };
    let size = body.len();
    write!(
        stream,
        "HTTP/1.1 {code}\r\n{head}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    stream.write_all(&body).ok()
}
