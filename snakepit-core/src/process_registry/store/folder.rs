//! The registry's files in the data directory: which is ours, which are dead, which were put aside.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process::identity::Scope;

/// How many files of one kind, beside ours, a directory keeps.
const KEPT: usize = 8;
/// What follows the name of a file that was put aside.
const ASIDE: &str = ".corrupt-";

/// What a file in the data directory is to a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    /// The registry of this boot and process namespace.
    Own,
    /// The registry of another boot: all that it records is dead.
    OtherBoot,
    /// The registry of another process namespace, whose processes cannot be seen from here.
    OtherNamespace,
    /// A file that could not be opened.
    Aside,
    /// None of ours.
    Stranger,
}

/// Where the registry of a scope is.
pub(super) fn path(directory: &Path, scope: &Scope) -> PathBuf {
    directory.join(name(scope))
}

fn name(scope: &Scope) -> String {
    format!("procs-{}-{}.redb", scope.boot(), scope.pid_namespace())
}

fn kind(file: &str, scope: &Scope) -> FileKind {
    let Some(rest) = file.strip_prefix("procs-") else { return FileKind::Stranger };
    if rest.contains(".redb.corrupt-") {
        FileKind::Aside
    } else if file == name(scope) {
        FileKind::Own
    } else if rest.strip_suffix(".redb").is_none() {
        FileKind::Stranger
    } else if rest.strip_prefix(scope.boot()).is_some_and(|rest| rest.starts_with('-')) {
        FileKind::OtherNamespace
    } else {
        FileKind::OtherBoot
    }
}

/// Deletes, unread, what other boots have left, and the oldest of what is only kept for people to look at.
pub(super) fn tidy(directory: &Path, scope: &Scope) -> io::Result<()> {
    let (mut aside, mut namespaces) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let changed = || entry.metadata().and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
        match kind(&entry.file_name().to_string_lossy(), scope) {
            FileKind::Own | FileKind::Stranger => {}
            FileKind::OtherBoot => std::fs::remove_file(entry.path())?,
            FileKind::OtherNamespace => namespaces.push((changed(), entry.path())),
            FileKind::Aside => aside.push((changed(), entry.path())),
        }
    }
    for mut files in [aside, namespaces] {
        files.sort();
        for (_, old) in files.iter().rev().skip(KEPT) {
            std::fs::remove_file(old)?;
        }
    }
    Ok(())
}

/// Renames a file that is of no use, and says how it is called now.
pub(super) fn put_aside(file: &Path) -> io::Result<PathBuf> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!("{ASIDE}{}", unix_ms()));
    let aside = PathBuf::from(name);
    std::fs::rename(file, &aside)?;
    Ok(aside)
}

/// Now, as a record says it.
pub(in crate::process_registry) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_name() {
        let scope = Scope::read().unwrap();
        let (own, boot) = (name(&scope), scope.boot());
        let table = [
            (own.clone(), FileKind::Own),
            (format!("procs-{boot}-1.redb"), FileKind::OtherNamespace),
            ("procs-00000000-1.redb".to_owned(), FileKind::OtherBoot),
            (format!("{own}.corrupt-1700000000000"), FileKind::Aside),
            ("LOCK".to_owned(), FileKind::Stranger),
            ("procs-notes.txt".to_owned(), FileKind::Stranger),
            ("worker.py".to_owned(), FileKind::Stranger),
        ];
        for (file, expected) in table {
            assert_eq!(kind(&file, &scope), expected, "{file}");
        }
    }

    #[test]
    fn a_folder_keeps_its_own_file_and_few_others() {
        let (directory, scope) = (tempfile::tempdir().unwrap(), Scope::read().unwrap());
        let write = |name: String| std::fs::write(directory.path().join(name), b"x").unwrap();
        write(name(&scope));
        write("procs-00000000-1.redb".to_owned());
        write("notes.txt".to_owned());
        for n in 0..KEPT + 3 {
            write(format!("{}.corrupt-{n}", name(&scope)));
            write(format!("procs-{}-{n}.redb", scope.boot()));
        }
        tidy(directory.path(), &scope).unwrap();
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 2 + 2 * KEPT);
        assert!(path(directory.path(), &scope).exists());
    }
}
