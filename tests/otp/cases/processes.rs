//! SX-09: a killed supervisor, and the processes that its children own. In real time.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{ChildSpec, SupervisorSpec};
use tokio::time::sleep;

use crate::otp::bed::Bed;
use crate::otp::probe::How;

/// A process group that dies with its owner.
struct OwnedGroup(Child);

impl OwnedGroup {
    #[expect(clippy::disallowed_methods, reason = "the case owns a process of its own, and a guard for it")]
    fn spawn() -> std::io::Result<Self> {
        let mut sleep = Command::new("sleep");
        sleep.arg("600").process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sleep.spawn().map(Self)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid fits")
    }
}

impl Drop for OwnedGroup {
    #[expect(
        clippy::disallowed_methods,
        reason = "the group is our own: it was made with the process, unreaped yet"
    )]
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        _ = self.0.wait();
    }
}

/// An actor that owns a process, in its handler: that is dropped at once when the actor dies, however it dies.
struct Owner(#[expect(dead_code, reason = "its drop is what it is for")] OwnedGroup);

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Owner {
    type Msg = How;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<How>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// A zombie counts as alive: nobody has reaped it, so its owner is not gone.
fn lives(pid: i32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

pub(crate) async fn sx_09_a_killed_supervisor_leaves_no_process() {
    let bed = Bed::new().await;
    let journal = bed.journal.clone();
    let owner = |id: &str| {
        let journal = journal.clone();
        ChildSpec::worker_with(id, move |context| {
            let group = OwnedGroup::spawn()?;
            journal.note(format!("{} {}", context.id(), group.pid()));
            Ok(snakepit_supervisor::Offspring::new(Owner(group), ()))
        })
    };
    let inner = SupervisorSpec::new("inner").child(owner("x")).child(owner("y"));
    let spec = SupervisorSpec::new("top").child(owner("a")).child(inner.into_child());
    let sup = bed.try_up(spec).await.expect("it starts");
    let written = bed.journal.take();
    let pids: Vec<i32> = written
        .split(", ")
        .map(|line| line.split_once(' ').expect("an id and a pid").1.parse().expect("a pid"))
        .collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|&pid| lives(pid)), "{written}");
    sup.cell().expect("it runs").kill();
    for _ in 0..500 {
        if !pids.iter().any(|&pid| lives(pid)) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("still there after 5 s: {written}");
}
