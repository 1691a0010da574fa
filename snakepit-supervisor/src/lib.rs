//! The door of the crate: supervisors, and what they are made of.
// The README's example is tested with the native form of ractor's trait; the other form does not compile it.
#![cfg_attr(not(feature = "async-trait"), doc = include_str!("../README.md"))]

mod actor;
mod advice;
mod backoff;
mod blueprint;
mod child;
mod child_handle;
mod core;
mod dynamic_supervisor;
mod error;
mod exit;
mod explain;
mod handle;
mod init;
mod moment;
mod offspring;
mod quarantine;
mod report;
mod restart;
mod starter;
mod supervisor;
mod tree;
mod validation;

pub use advice::SpecWarning;
pub use backoff::Backoff;
pub use child::{ChildId, ChildSettings, ChildSpec, ChildType, Restart, Shutdown};
pub use child_handle::ChildHandle;
pub use dynamic_supervisor::{DynamicSupervisorRef, DynamicSupervisorSpec};
pub use error::{
    DeleteChildError, Gone, RestartChildError, SpecError, StartChildError, StartError, StartFailure,
    StillRunning, TerminateChildError,
};
pub use exit::{DoNotRestart, ExitReason, StoppedWith};
pub use explain::{Explanation, Incident, LifeCause, LifeCourse, LifeRecord};
pub use handle::{ChildCounts, ChildSummary, ChildTarget, StartedChild};
pub use init::SupervisorInit;
pub use offspring::{ChildExit, Offspring, StartContext, StartInfo};
pub use quarantine::{Quarantine, QuarantinePolicy, QuarantineVerdict};
pub use report::{GaveUp, GaveUpReason, PastFailure, Report, ReportSink, StartedBy};
pub use restart::{RestartIntensity, RestartPolicy};
pub use starter::{StarterRef, StarterSpec};
pub use supervisor::{AutoShutdown, Strategy, SupervisorRef, SupervisorSpec};
pub use tree::{ChildState, TreeNode};
