//! Systems that do not list a process's children.

use crate::process::usage::{Root, TreeUsage};

/// It is not known.
pub(super) fn of_tree(root: Root) -> Option<TreeUsage> {
    match root {
        Root::Shim(_) | Root::Worker(_) => None,
    }
}
