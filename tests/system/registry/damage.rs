//! P10: whatever became of the file, the next start begins, and ends what the last one left.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;
use snakepit_tests::oracle::Mark;

use crate::system::host_death::{Host, start};
use crate::system::registry::stage::{META, Sleeper, file, once, rows, write};
use crate::system::subject::HANG;

/// What is to be found of a damaged file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was put aside.
    Aside,
    /// Put aside or used, as the damage hit something or not.
    Either,
    /// It is as if it had never been.
    Gone,
}

/// Kills a host, damages its file, and starts another: nothing of the first may be left.
async fn survives(case: &str, fate: Fate, damage: impl FnOnce(&Path)) {
    let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
    let mut host = Host::start(directory.path(), &mark, &["--ignore-eof", "--forks-child"]);
    let mut orphan = Sleeper::left_by(&host, &mark);
    host.kill_with_shims();
    damage(&file(directory.path()));
    let pit = start(directory.path(), &mark).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(!orphan.runs(), "{case}: an orphan was left");
    assert!(host.workers.iter().all(|pid| !snakepit_tests::oracle::runs(*pid)), "{case}");
    let report = pit.recovery();
    assert!(report.ended >= 1 && report.survivors == 0, "{case}: {report:?}");
    match (&report.quarantined_file, fate) {
        (Some(aside), Fate::Aside | Fate::Either) => assert!(aside.exists(), "{case}"),
        (None, Fate::Gone | Fate::Either) => {}
        (aside, _) => panic!("{case}: {aside:?}"),
    }
    if fate != Fate::Either {
        assert_eq!(report.records, 0, "{case}");
    }
    pit.await_ready("default", HANG).await.unwrap();
    pit.shutdown(HANG).await;
    mark.assert_nothing_left().await;
}

fn patch(file: &Path, bytes: &[u8], at: u64) {
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

fn flip(file: &Path, at: usize) {
    let bytes = std::fs::read(file).unwrap();
    let at = at.min(bytes.len() - 1);
    patch(file, &[bytes[at] ^ 4], at as u64);
}

#[test]
fn p10_flipped_bits_and_zeroed_pages_leave_no_orphan() {
    once(|| async {
        // The header, and pages in use; elsewhere in the file a bit may change nothing.
        for at in [0, 9, 70, 4_100, 8_200, 16_400] {
            survives(&format!("bit at {at}"), Fate::Either, |file| flip(file, at)).await;
        }
        for page in 0..3 {
            let zero = |file: &Path| patch(file, &[0; 4096], page * 4096);
            survives(&format!("page {page}"), Fate::Either, zero).await;
        }
    });
}

#[test]
fn p10_a_file_of_no_use_is_put_aside_and_leaves_no_orphan() {
    once(|| async {
        let truncate = |length| {
            move |file: &Path| OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap()
        };
        survives("cut short", Fate::Aside, truncate(5_000)).await;
        survives("cut to a few bytes", Fate::Aside, truncate(7)).await;
        survives("garbage", Fate::Aside, |file| std::fs::write(file, vec![0x5a; 40_000]).unwrap()).await;
        survives("a header and garbage", Fate::Aside, |file| patch(file, &vec![0x5a; 30_000], 512)).await;
        survives("later schema", Fate::Aside, |file| {
            let mut meta = rows(file, META);
            meta[0].1["schema"] = json!(1_000);
            write(file, META, &meta);
        })
        .await;
    });
}

#[test]
fn p10_a_lost_file_leaves_no_orphan() {
    once(|| async {
        survives("deleted", Fate::Gone, |file| std::fs::remove_file(file).unwrap()).await;
        survives("empty", Fate::Gone, |file| {
            OpenOptions::new().write(true).open(file).unwrap().set_len(0).unwrap();
        })
        .await;
        survives("of another boot", Fate::Gone, |file| {
            let other = file.with_file_name("procs-00000000-1.redb");
            std::fs::rename(file, other).unwrap();
        })
        .await;
        survives("of another scope", Fate::Gone, |file| {
            let mut meta = rows(file, META);
            meta[0].1["scope"]["init"] = json!(1);
            write(file, META, &meta);
        })
        .await;
    });
}
