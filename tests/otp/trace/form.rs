//! The form of a case: what the JSON says, and what it must not say.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use snakepit_supervisor::{AutoShutdown, Restart, RestartIntensity, RestartPolicy, Shutdown, Strategy};

use crate::otp::trace::BadCase;

/// A tree and a script.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TraceCase {
    pub(super) supervisor: SupervisorForm,
    #[serde(default)]
    pub(super) script: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindForm {
    #[default]
    Static,
    Dynamic,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StrategyForm {
    #[default]
    OneForOne,
    OneForAll,
    RestForOne,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AutoShutdownForm {
    #[default]
    Never,
    AnySignificant,
    AllSignificant,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RestartForm {
    #[default]
    Permanent,
    Transient,
    Temporary,
}

/// What one start of a child does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PlanForm {
    #[default]
    Ok,
    Err,
    Panic,
    Ignore,
}

const fn one() -> u32 {
    1
}

const fn five() -> f64 {
    5.0
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SupervisorForm {
    #[serde(default)]
    pub(super) kind: KindForm,
    #[serde(default)]
    strategy: StrategyForm,
    #[serde(default = "one")]
    intensity: u32,
    #[serde(default = "five")]
    period_s: f64,
    #[serde(default)]
    auto_shutdown: AutoShutdownForm,
    #[serde(default)]
    pub(super) max_children: Option<usize>,
    #[serde(default)]
    pub(super) children: Vec<ChildForm>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChildForm {
    pub(super) id: String,
    #[serde(default)]
    restart: RestartForm,
    #[serde(default, deserialize_with = "shutdown")]
    shutdown: Option<Shutdown>,
    #[serde(default)]
    pub(super) significant: bool,
    #[serde(default)]
    pub(super) plan: Vec<PlanForm>,
    #[serde(default)]
    pub(super) supervisor: Option<SupervisorForm>,
}

/// One step of the script.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Step {
    Exit {
        id: String,
        reason: ExitForm,
    },
    Kill {
        id: String,
    },
    StartChild {
        spec: ChildForm,
    },
    TerminateChild {
        id: String,
    },
    RestartChild {
        id: String,
    },
    DeleteChild {
        id: String,
    },
    WhichChildren {
        #[serde(default)]
        id: String,
    },
    CountChildren {
        #[serde(default)]
        id: String,
    },
    Advance {
        ms: u64,
    },
    Stop,
}

/// A reason to end with: `normal`, `shutdown`, `shutdown:x`, `err` or `panic`.
#[derive(Clone, Debug)]
pub(super) struct ExitForm(pub(super) String);

impl<'de> Deserialize<'de> for ExitForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "normal" | "shutdown" | "err" | "panic" => Ok(Self(word)),
            other if other.starts_with("shutdown:") => Ok(Self(word)),
            other => Err(D::Error::custom(format!("unknown exit reason {other:?}"))),
        }
    }
}

fn shutdown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Shutdown>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Millis(u64),
        Word(String),
    }
    match Form::deserialize(deserializer)? {
        Form::Millis(millis) => Ok(Some(Shutdown::Timeout(Duration::from_millis(millis)))),
        Form::Word(word) if word == "brutal_kill" => Ok(Some(Shutdown::BrutalKill)),
        Form::Word(word) if word == "infinity" => Ok(Some(Shutdown::Infinity)),
        Form::Word(word) => Err(D::Error::custom(format!("unknown shutdown {word:?}"))),
    }
}

impl TraceCase {
    pub(super) fn read(input: &str) -> Result<Self, BadCase> {
        let case: Self = serde_json::from_str(input).map_err(BadCase::new)?;
        case.supervisor.check()?;
        for step in &case.script {
            if let Step::StartChild { spec } = step {
                // Its own id may be a path; what the call makes of the rest is for the call to say.
                spec.supervisor.as_ref().map_or(Ok(()), SupervisorForm::check)?;
            }
        }
        Ok(case)
    }
}

impl SupervisorForm {
    fn check(&self) -> Result<(), BadCase> {
        if !(self.period_s > 0.0 && self.period_s.is_finite()) {
            return Err(BadCase::new(format!("period_s {} is no period", self.period_s)));
        }
        if self.kind == KindForm::Dynamic {
            if !self.children.is_empty() {
                return Err(BadCase::new("a dynamic supervisor starts without children"));
            }
            if self.auto_shutdown != AutoShutdownForm::Never {
                return Err(BadCase::new("a dynamic supervisor has no auto_shutdown"));
            }
        }
        let mut ids = HashSet::new();
        for child in &self.children {
            if child.id.is_empty() || child.id.contains('/') {
                return Err(BadCase::new(format!("{:?} is no id", child.id)));
            }
            if !ids.insert(&child.id) {
                return Err(BadCase::new(format!("two children have the id {:?}", child.id)));
            }
            child.supervisor.as_ref().map_or(Ok(()), Self::check)?;
        }
        Ok(())
    }

    pub(super) fn policy(&self) -> RestartPolicy {
        let period = Duration::from_secs_f64(self.period_s);
        RestartPolicy::otp(RestartIntensity { limit: self.intensity, period })
    }

    pub(super) fn strategy(&self) -> Strategy {
        match self.strategy {
            StrategyForm::OneForOne => Strategy::OneForOne,
            StrategyForm::OneForAll => Strategy::OneForAll,
            StrategyForm::RestForOne => Strategy::RestForOne,
        }
    }

    pub(super) fn auto_shutdown(&self) -> AutoShutdown {
        match self.auto_shutdown {
            AutoShutdownForm::Never => AutoShutdown::Never,
            AutoShutdownForm::AnySignificant => AutoShutdown::AnySignificant,
            AutoShutdownForm::AllSignificant => AutoShutdown::AllSignificant,
        }
    }
}

impl ChildForm {
    pub(super) fn restart(&self) -> Restart {
        match self.restart {
            RestartForm::Permanent => Restart::Permanent,
            RestartForm::Transient => Restart::Transient,
            RestartForm::Temporary => Restart::Temporary,
        }
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        let default = if self.supervisor.is_some() { Shutdown::Infinity } else { Shutdown::WORKER };
        self.shutdown.unwrap_or(default)
    }
}
