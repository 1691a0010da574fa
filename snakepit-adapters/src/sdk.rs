//! The Python worker SDK: carried inside the host, unpacked under its data directory, so that nothing need be installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the package lies, in a folder that only the door puts on the path.
const PACKAGE: &str = "package/snakepit_worker";

/// What stands on `PYTHONPATH` in the package's place: it lets an installed one pass, which would come later.
const DOOR: EmbeddedFile =
    EmbeddedFile { name: "snakepit_worker.py", content: include_bytes!("../python/door/snakepit_worker.py") };

struct EmbeddedFile {
    name: &'static str,
    content: &'static [u8],
}

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$(EmbeddedFile {
            name: concat!("package/snakepit_worker/", $name),
            content: include_bytes!(concat!("../python/snakepit_worker/", $name)),
        }),*]
    };
}

const FILES: &[EmbeddedFile] = embed![
    "__init__.py",
    "__main__.py",
    "alone.py",
    "annotations.py",
    "answer.py",
    "beginning.py",
    "by_hand.py",
    "call_message.py",
    "invocation.py",
    "conformance.py",
    "context.py",
    "failure.py",
    "fast_json.py",
    "frame.py",
    "grpc_calls.py",
    "grpc_message.py",
    "grpc_server.py",
    "handshake.py",
    "incoming.py",
    "inline.py",
    "intake.py",
    "json_text.py",
    "large_body.py",
    "leaving.py",
    "lifetime.py",
    "listening.py",
    "log_frames.py",
    "message_pack.py",
    "outgoing.py",
    "payload.py",
    "port.py",
    "py.typed",
    "reading.py",
    "registry.py",
    "request.py",
    "service.py",
    "serving.py",
    "signature.py",
    "stdio.py",
    "stopping.py",
    "tasks.py",
    "testing.py",
    "threads.py",
    "values.py",
    "voice.py",
    "waiting_line.py",
    "worker.py",
];

/// The folder for `PYTHONPATH`. Its name holds the content's hash: hosts of several versions share a data directory.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("sdk").join(format!("python-{:016x}", content_hash(unpacked())))
}

/// Unpacks the SDK, unless it is there and whole. Several hosts may do so at once.
///
/// # Errors
/// What the file system said.
pub(crate) fn unpack(data_dir: &Path) -> io::Result<()> {
    let folder = folder(data_dir);
    if is_whole(&folder) {
        return Ok(());
    }
    let fresh = sibling(&folder, "new");
    fs::create_dir_all(fresh.join(PACKAGE))?;
    for file in unpacked() {
        fs::write(fresh.join(file.name), file.content)?;
    }
    let placed = place(&fresh, &folder);
    // Where another host was faster, or placing failed, the fresh folder is still there.
    let _ = fs::remove_dir_all(&fresh);
    placed
}

/// Moves a complete folder to its place in one step; what is there already stays if it is whole.
fn place(fresh: &Path, folder: &Path) -> io::Result<()> {
    let Err(error) = fs::rename(fresh, folder) else { return Ok(()) };
    if is_whole(folder) {
        return Ok(());
    }
    if !folder.exists() {
        return Err(error);
    }
    let damaged = sibling(folder, "damaged");
    fs::rename(folder, &damaged)?;
    let placed = fs::rename(fresh, folder);
    fs::remove_dir_all(&damaged)?;
    if is_whole(folder) { Ok(()) } else { placed }
}

fn is_whole(folder: &Path) -> bool {
    unpacked().all(|file| fs::read(folder.join(file.name)).is_ok_and(|content| content == file.content))
}

/// The door and the files of the package, named from the folder.
fn unpacked() -> impl Iterator<Item = &'static EmbeddedFile> {
    std::iter::once(&DOOR).chain(FILES)
}

/// A name beside `folder` that nobody else uses at the moment.
fn sibling(folder: &Path, what: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    folder.with_extension(format!("{pid}-{count}.{what}"))
}

/// FNV-1a over names and contents, `http://www.isthe.com/chongo/tech/comp/fnv/`: it tells versions apart, no more.
fn content_hash<'a>(files: impl IntoIterator<Item = &'a EmbeddedFile>) -> u64 {
    let parts = files.into_iter().flat_map(|file| [file.name.as_bytes(), &[0], file.content, &[0]]);
    parts
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_embedded() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/snakepit_worker");
        let mut on_disk: Vec<String> = fs::read_dir(&package)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "__pycache__")
            .collect();
        on_disk.sort();
        let name = |file: &EmbeddedFile| file.name.rsplit('/').next().unwrap();
        let mut embedded: Vec<&str> = FILES.iter().map(name).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, on_disk, "sdk.rs lists what it embeds");
        let is_fresh = |file: &EmbeddedFile| fs::read(package.join(name(file))).unwrap() == file.content;
        assert!(FILES.iter().all(is_fresh), "the list is read when this crate is built");
    }

    #[test]
    fn it_is_unpacked_once_and_repaired_when_damaged() {
        let data_dir = tempfile::tempdir().unwrap();
        unpack(data_dir.path()).unwrap();
        let init = folder(data_dir.path()).join(PACKAGE).join("__init__.py");
        let written = fs::metadata(&init).unwrap().modified().unwrap();
        unpack(data_dir.path()).unwrap();
        assert_eq!(fs::metadata(&init).unwrap().modified().unwrap(), written, "what is whole is left alone");

        fs::write(&init, "damaged").unwrap();
        unpack(data_dir.path()).unwrap();
        assert!(is_whole(&folder(data_dir.path())));
        assert_eq!(
            fs::read_dir(data_dir.path().join("sdk")).unwrap().count(),
            1,
            "nothing else is left behind"
        );
    }

    #[test]
    fn several_hosts_may_unpack_at_once() {
        let data_dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let hosts: Vec<_> = (0..8).map(|_| scope.spawn(|| unpack(data_dir.path()))).collect();
            for host in hosts {
                host.join().unwrap().unwrap();
            }
        });
        assert!(is_whole(&folder(data_dir.path())));
        assert_eq!(fs::read_dir(data_dir.path().join("sdk")).unwrap().count(), 1);
    }

    #[test]
    fn another_content_has_another_folder() {
        let one = EmbeddedFile { name: "a", content: b"1" };
        let two = EmbeddedFile { name: "a", content: b"2" };
        assert_ne!(content_hash([&one]), content_hash([&two]));
    }
}
