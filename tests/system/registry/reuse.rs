//! P9: numbers that belong to others by now. A bystander is never signalled, whatever a record says.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::Mark;

use crate::system::host_death::{Host, start};
use crate::system::registry::stage::{RECORDS, Sleeper, file, once, rows, write};
use crate::system::subject::{HANG, stub};

/// Field 22 of a process's `stat`.
fn start_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_ascii_whitespace().nth(19).unwrap().parse().unwrap()
}

/// The ways to claim that a bystander is a worker.
fn forgeries(honest: &Value, bystander: &Sleeper) -> Vec<Value> {
    let (pid, start) = (json!(bystander.pid()), json!(start_time(bystander.pid())));
    let of_another = Value::Null;
    let forge = |changes: &[(&str, &Value)]| {
        let mut forged = honest.clone();
        for (field, value) in changes {
            forged[*field] = (*value).clone();
        }
        forged
    };
    vec![
        // The number alone: start and inode are those of the worker that had it, or of the group that it led.
        forge(&[("pid", &pid)]),
        // The number and the start, as on a machine that gives numbers out fast.
        forge(&[("pid", &pid), ("start_time", &start)]),
        // All that an old kernel tells, and no mark.
        forge(&[("pid", &pid), ("start_time", &start), ("inode", &of_another)]),
        // An inode that was never given out.
        forge(&[("pid", &pid), ("start_time", &start), ("inode", &json!(u64::MAX))]),
        // An inode of another boot's count that is another process's now: the first process's.
        forge(&[("pid", &pid), ("start_time", &start), ("inode", &json!(1))]),
        forge(&[("pid", &pid), ("start_time", &start), ("boot_id", &json!("an earlier one"))]),
    ]
}

#[test]
fn p09_a_forged_record_never_ends_a_bystander() {
    once(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof"]);
        host.kill_with_shims();
        let mut bystanders: Vec<_> = (0..34).map(|_| Sleeper::bystander()).collect();
        let file = file(directory.path());
        let (_, record) = rows(&file, RECORDS).remove(0);
        let forged = bystanders.iter().flat_map(|bystander| forgeries(&record["worker"], bystander));
        let mut records = Vec::new();
        for (slot, identity) in (100..).zip(forged) {
            let mut record = record.clone();
            record["slot"] = json!(slot);
            (record["worker"], record["shim"]) = (identity.clone(), identity);
            records.push((format!("forged {slot}"), record));
        }
        assert!(records.len() >= 200);
        write(&file, RECORDS, &records);
        let pit = start(directory.path(), &mark).await.unwrap();
        let harmed = bystanders.iter_mut().filter_map(|bystander| (!bystander.runs()).then_some(())).count();
        assert_eq!(harmed, 0);
        assert_eq!(pit.recovery().records, records.len() + 2);
        assert_eq!((pit.recovery().survivors, pit.recovery().unreadable), (0, 0));
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
        let again = start(directory.path(), &mark).await.unwrap();
        assert_eq!(again.recovery().records, 0, "a forged record is taken out");
        again.shutdown(HANG).await;
    });
}

/// Rounds of: a host is killed with all it has, its workers' numbers are given to bystanders, the next host recovers.
const ROUNDS: u32 = 10;

#[test]
fn p09_a_number_that_was_given_out_again_is_not_signalled() {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/registry/reuse.sh");
    // A process namespace of its own: there the numbers can be chosen, and everything in it ends with it.
    let mut namespace = Command::new("unshare");
    namespace.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh"]).arg(script);
    namespace.arg(directory.path()).arg(env!("CARGO_BIN_EXE_test-host")).arg(stub());
    let output = match namespace.arg(ROUNDS.to_string()).output() {
        Ok(output) if output.status.code() != Some(77) && !output.stdout.is_empty() => output,
        _ => return skipped("p09", "a process namespace whose numbers can be chosen"),
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let noise = String::from_utf8_lossy(&output.stderr);
    let numbers: Vec<u32> = said.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [reused, harmed] = numbers[..] else { panic!("{said}\n{noise}") };
    assert!(reused >= ROUNDS, "only {reused} numbers were given out again\n{noise}");
    assert_eq!(harmed, 0, "{said}\n{noise}");
}
