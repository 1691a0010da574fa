//! The decision table of restarts, run: every policy against every way to end.
//!
//! `cargo run --example restart_policies`

use std::error::Error;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{
    ChildHandle, ChildSpec, ChildState, DoNotRestart, Restart, RestartIntensity, RestartPolicy,
    SupervisorSpec,
};

/// Ends as it is told.
struct Mortal;

#[derive(Clone, Copy, Debug)]
enum End {
    Normal,
    Shutdown,
    Error,
    Panic,
    Fatal,
    Killed,
}

const ENDS: [End; 6] = [End::Normal, End::Shutdown, End::Error, End::Panic, End::Fatal, End::Killed];

impl Actor for Mortal {
    type Msg = End;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<End>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<End>, end: End, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match end {
            End::Normal => myself.stop(None),
            End::Shutdown => myself.stop(Some("shutdown".into())),
            End::Error => return Err("an error".into()),
            End::Panic => panic!("a panic, on purpose"),
            End::Fatal => return Err(Box::new(DoNotRestart::new("trying again cannot help"))),
            End::Killed => myself.kill(),
        }
        Ok(())
    }
}

/// Starts a child, lets it end, and says what its supervisor made of that.
async fn outcome(restart: Restart, end: End) -> Result<&'static str, Box<dyn Error>> {
    let spec = ChildSpec::worker("mortal", || (Mortal, ())).restart(restart);
    let mut child: ChildHandle = spec.handle();
    let policy = RestartPolicy::otp(RestartIntensity::default());
    let supervisor = SupervisorSpec::new("table").policy(policy).child(spec).start().await?;
    let cell = child.up().await.ok_or("the child is gone")?;
    ActorRef::<End>::from(cell.clone()).cast(end)?;
    cell.wait(None).await?;
    loop {
        // A dead child is not yet a child whose supervisor knows: asked until it does.
        match supervisor.which_child("mortal").await {
            Err(_) => return Ok("supervisor ends"),
            Ok(None) => return Ok("forgotten"),
            Ok(Some(now)) if now.state == ChildState::Stopped => return Ok("kept, stopped"),
            Ok(Some(now)) if now.cell.as_ref().is_some_and(|now| now.get_id() != cell.get_id()) => {
                return Ok("restarted");
            }
            Ok(Some(_)) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The panics are part of the show; their messages are not.
    std::panic::set_hook(Box::new(|_| {}));
    print!("{:<10}", "");
    for end in ENDS {
        print!("{:>17}", format!("{end:?}").to_lowercase());
    }
    println!();
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        print!("{:<10}", format!("{restart:?}").to_lowercase());
        for end in ENDS {
            print!("{:>17}", outcome(restart, end).await?);
        }
        println!();
    }
    Ok(())
}
