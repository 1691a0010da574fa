//! Where a pit keeps its registry of processes, as configured or as the surroundings say.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{StartError, TriedDirectory};
use crate::id::InvalidName;

/// What the surroundings say of where a service keeps its state.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    /// What systemd has made for the service; several directories are separated by colons.
    runtime_directory: Option<OsString>,
    state_home: Option<OsString>,
    home: Option<OsString>,
    /// The running program.
    program: Option<PathBuf>,
}

impl Surroundings {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads where a service keeps its state")]
    fn read() -> Self {
        Self {
            runtime_directory: std::env::var_os("RUNTIME_DIRECTORY"),
            state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
            program: std::env::current_exe().ok(),
        }
    }
}

/// The directory that a pit uses: the configured one, or the first of the usual places that can be made and written.
/// An instance has a folder of its own in it.
pub(super) fn choose(configured: Option<PathBuf>, instance: Option<&str>) -> Result<PathBuf, StartError> {
    if let Some(configured) = configured {
        return Ok(below(configured, instance));
    }
    first_usable(candidates(&Surroundings::read(), instance))
}

/// Checks an instance's name: it becomes the name of a folder.
pub(super) fn check_instance(name: &str) -> Result<(), InvalidName> {
    InvalidName::check("instance name", name)
}

fn below(directory: PathBuf, instance: Option<&str>) -> PathBuf {
    match instance {
        Some(instance) => directory.join(instance),
        None => directory,
    }
}

/// The usual places, best first.
///
/// `XDG_RUNTIME_DIR` is not among them: it is wiped at logout, while the processes may stay.
fn candidates(surroundings: &Surroundings, instance: Option<&str>) -> Vec<PathBuf> {
    let app = instance.map_or_else(|| app_name(surroundings.program.as_deref()), str::to_owned);
    let absolute = |path: &OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let runtime = surroundings
        .runtime_directory
        .as_ref()
        .and_then(|all| std::env::split_paths(all).next().filter(|path| path.is_absolute()));
    let state = surroundings.state_home.as_ref().and_then(absolute);
    let home = surroundings.home.as_ref().and_then(absolute);
    let state = state.or_else(|| Some(home?.join(".local/state")));
    let mut places = Vec::new();
    places.extend(runtime.map(|runtime| below(runtime, instance)));
    places.push(Path::new("/run").join(&app));
    places.extend(state.map(|state| state.join(&app)));
    places
}

/// What the program is called, as a folder's name.
fn app_name(program: Option<&Path>) -> String {
    let stem = program.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    // A program that was replaced while it runs keeps its registry.
    let stem = stem.unwrap_or_default().replace(" (deleted)", "");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = stem.chars().map(plain).take(64).collect();
    if name.trim_matches('.').is_empty() { "snakepit".to_owned() } else { name }
}

fn first_usable(places: Vec<PathBuf>) -> Result<PathBuf, StartError> {
    let mut tried = Vec::new();
    for path in places {
        match make_writable(&path) {
            Ok(()) => return Ok(path),
            Err(source) => tried.push(TriedDirectory { path, reason: source.to_string() }),
        }
    }
    Err(StartError::NoDataDir { tried })
}

/// Makes the directory, and the lock's file in it, which has to be made anyway.
fn make_writable(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    OpenOptions::new().write(true).create(true).truncate(false).open(path.join("LOCK"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings {
            runtime_directory: Some("/run/unit:/run/more".into()),
            state_home: Some("/state".into()),
            home: Some("/home/me".into()),
            program: Some("/usr/bin/my service.bin".into()),
        }
    }

    fn paths(surroundings: &Surroundings, instance: Option<&str>) -> Vec<String> {
        candidates(surroundings, instance).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_usual_places_come_in_their_order() {
        let all = surroundings();
        assert_eq!(paths(&all, None), ["/run/unit", "/run/my_service", "/state/my_service"]);
        assert_eq!(paths(&all, Some("blue")), ["/run/unit/blue", "/run/blue", "/state/blue"]);
        let bare = Surroundings { runtime_directory: None, state_home: None, ..all };
        assert_eq!(paths(&bare, None), ["/run/my_service", "/home/me/.local/state/my_service"]);
        let relative = Surroundings { state_home: Some("state".into()), home: Some("".into()), ..bare };
        assert_eq!(paths(&relative, None), ["/run/my_service"]);
    }

    #[test]
    fn a_program_gives_a_plain_name() {
        let table = [
            (Some("/usr/bin/service"), "service"),
            (Some("/usr/bin/service (deleted)"), "service"),
            (Some("/opt/a b/c:d.exe"), "c_d"),
            (Some("/"), "snakepit"),
            (None, "snakepit"),
        ];
        for (program, name) in table {
            assert_eq!(app_name(program.map(Path::new)), name);
        }
    }

    #[test]
    fn a_configured_directory_is_taken_as_it_is_and_an_instance_has_its_own_folder() {
        assert_eq!(choose(Some("/data".into()), None).unwrap(), Path::new("/data"));
        assert_eq!(choose(Some("/data".into()), Some("blue")).unwrap(), Path::new("/data/blue"));
        assert!(check_instance("blue-2").is_ok());
        for name in ["", "..", "a/b"] {
            assert!(check_instance(name).unwrap_err().to_string().contains("instance name"));
        }
    }

    #[test]
    fn the_first_place_that_can_be_written_is_used_and_otherwise_all_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let (bad, good) = (file.join("below"), directory.path().join("new/one"));
        assert_eq!(first_usable(vec![bad.clone(), good.clone()]).unwrap(), good);
        let error = first_usable(vec![bad.clone(), file.join("other")]).unwrap_err();
        let StartError::NoDataDir { tried } = &error else { panic!("{error}") };
        assert_eq!((tried.len(), &tried[0].path), (2, &bad));
        assert!(error.to_string().contains(&bad.display().to_string()), "{error}");
    }
}
