//! What is checked before anything is started.

use std::collections::HashSet;

use crate::child::{ChildSettings, Restart};
use crate::error::SpecError;
use crate::supervisor::AutoShutdown;

/// The rules for one child, in OTP's order (`supervisor.erl, validSignificant/3`).
pub(crate) fn check_child(child: &ChildSettings, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
    match (child.significant, auto_shutdown, child.restart) {
        (true, AutoShutdown::Never, _) => {
            Err(SpecError::SignificantWithoutAutoShutdown { id: child.id.clone() })
        }
        (true, AutoShutdown::AnySignificant | AutoShutdown::AllSignificant, Restart::Permanent) => {
            Err(SpecError::SignificantPermanent { id: child.id.clone() })
        }
        (true, _, Restart::Transient | Restart::Temporary) | (false, _, _) => Ok(()),
    }
}

/// The rules for the children of a static supervisor.
pub(crate) fn check_children<'a>(
    children: impl IntoIterator<Item = &'a ChildSettings>,
    auto_shutdown: AutoShutdown,
) -> Result<(), SpecError> {
    let mut ids = HashSet::new();
    for child in children {
        check_child(child, auto_shutdown)?;
        if !ids.insert(&child.id) {
            return Err(SpecError::DuplicateId { id: child.id.clone() });
        }
    }
    Ok(())
}
