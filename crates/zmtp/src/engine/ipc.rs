//! Unix sockets: their files, and who may replace or remove them.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::bind_error::BindErrorKind;
use crate::config::TransportOptions;

/// An abstract name as the system has it: behind a zero byte, and without another at its end, which
/// is libzmq's way too.
pub(super) fn abstract_path(name: &str) -> String {
    format!("\0{name}")
}

/// Listens at a path or an abstract name.
pub(super) fn listen(path: &Path, options: &TransportOptions) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    open(socket, path, options).inspect_err(|_| {
        // It is ours, and nobody will listen there.
        if !is_abstract(path) {
            let _ = fs::remove_file(path);
        }
    })
}

fn open(socket: Socket, path: &Path, options: &TransportOptions) -> io::Result<UnixListener> {
    if let Some(mode) = options.ipc_mode.filter(|_| !is_abstract(path)) {
        // Nobody can connect before the socket listens.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    UnixListener::from_std(socket.into())
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().first() == Some(&0)
}

type Bound = (UnixListener, Option<SocketFile>);

/// Listens at a path. A file on which nobody listens is replaced.
pub(super) async fn bind_path(
    path: &Path,
    options: &TransportOptions,
) -> Result<Bound, BindErrorKind> {
    let listener = match listen(path, options) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path).await?;
            listen(path, options)?
        }
        result => result?,
    };
    let file = SocketFile::of(path)?;
    Ok((listener, Some(file)))
}

/// Listens in a new directory that only this user can enter, and which goes with the file.
pub(super) fn bind_any(options: &TransportOptions) -> Result<(Bound, PathBuf), BindErrorKind> {
    let name = format!("zmtp-{:016x}", crate::socket::random());
    let directory = std::path::absolute(std::env::temp_dir())?.join(name);
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let path = directory.join("socket");
    let mut file = SocketFile { path: path.clone(), identity: None, directory: Some(directory) };
    let listener = listen(&path, options)?;
    file.identity = Some(identity(&fs::symlink_metadata(&path)?));
    Ok(((listener, Some(file)), path))
}

/// Removes a socket file on which nobody listens. Whatever else is there stays.
async fn remove_stale(path: &Path) -> Result<(), BindErrorKind> {
    let found = match fs::symlink_metadata(path) {
        // Whoever listened there has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(BindErrorKind::NotASocket);
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A full backlog is no refusal: somebody listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(BindErrorKind::InUse);
        }
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(BindErrorKind::InUse),
    }
    // Another process may have replaced it since.
    if is_still_there(path, identity(&found)) {
        Ok(fs::remove_file(path)?)
    } else {
        Err(BindErrorKind::InUse)
    }
}

/// A socket file that is removed on drop, unless another one is there by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Absolute, so that a later change of the working directory does not matter.
    path: PathBuf,
    /// None before it has been made.
    identity: Option<Identity>,
    /// A directory that was made for it.
    directory: Option<PathBuf>,
}

/// Device, inode and time of creation: an inode alone may be given to the next file.
type Identity = (u64, u64, i64, i64);

impl SocketFile {
    /// Somebody else removes it.
    pub(super) fn leave(mut self) {
        (self.identity, self.directory) = (None, None);
    }

    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let identity = identity(&fs::symlink_metadata(path)?);
        let path = std::path::absolute(path)?;
        Ok(Self { path, identity: Some(identity), directory: None })
    }
}

fn is_still_there(path: &Path, expected: Identity) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| identity(&found) == expected)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Either may be gone between the look and this; then there is nothing to do.
        if self.identity.is_some_and(|identity| is_still_there(&self.path, identity)) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}
