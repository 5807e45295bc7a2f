//! The file of a Unix socket that only its owner can connect to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixStream;

const MODE: u32 = 0o600;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// Removed on drop, unless another one is there by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// None if it is not to be removed.
    inode: Option<u64>,
}

impl SocketFile {
    /// One that is there.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self { inode: Some(fs::symlink_metadata(&path)?.ino()), path })
    }

    /// Somebody else removes it.
    pub(crate) fn leave(mut self) {
        self.inode = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path).map(|found| found.ino());
        if there.is_ok_and(|inode| Some(inode) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at a path, for nobody but the owner of this process. A file on which nobody listens is replaced.
pub(crate) async fn bind_owned(path: &Path) -> io::Result<UnixListener> {
    let bound = match listen(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match remove_stale(path).await {
            Ok(()) => listen(path),
            Err(error) => Err(error),
        },
        result => result,
    };
    bound.map_err(|error| {
        let what = format!("cannot be controlled at {}: {error}", path.display());
        io::Error::new(error.kind(), what)
    })
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Nobody can connect before the socket listens.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let what = "there is a file that is not a socket, move it away first";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}
