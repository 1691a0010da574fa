//! Random cases, from a seed: trees of up to three levels, and scripts for them.

use serde_json::{Value, json};

pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// One case.
pub(super) fn case(chance: &mut Chance) -> Value {
    let supervisor = supervisor(chance, 2);
    let mut paths: Vec<String> = ["x", "y", "a", "b"].map(str::to_owned).to_vec();
    paths_of(&supervisor, "", &mut paths);
    let steps = 4 + chance.below(16);
    let script: Vec<Value> = (0..steps).map(|_| step(chance, &paths)).collect();
    json!({ "supervisor": supervisor, "script": script })
}

fn supervisor(chance: &mut Chance, depth: usize) -> Value {
    if chance.percent(25) {
        let mut dynamic = json!({ "kind": "dynamic", "intensity": chance.below(4) });
        if chance.percent(50) {
            dynamic["max_children"] = json!(chance.below(4));
        }
        return dynamic;
    }
    let auto = chance.of(&["never", "never", "any_significant", "all_significant"]);
    let mut ids = vec!["a", "b", "c", "d", "e"];
    let children: Vec<Value> = (0..chance.below(5))
        .map(|_| {
            let id = ids.remove(chance.below(ids.len()));
            child(chance, id, depth, auto != "never")
        })
        .collect();
    json!({
        "strategy": chance.of(&["one_for_one", "one_for_all", "rest_for_one"]),
        "intensity": chance.below(5),
        "period_s": if chance.percent(50) { 1 } else { 5 },
        "auto_shutdown": auto,
        "children": children,
    })
}

fn child(chance: &mut Chance, id: &str, depth: usize, may_be_significant: bool) -> Value {
    let restart = chance.of(&["permanent", "permanent", "transient", "temporary"]);
    let mut child = json!({ "id": id, "restart": restart });
    if may_be_significant && restart != "permanent" && chance.percent(50) {
        child["significant"] = json!(true);
    }
    if depth > 0 && chance.percent(25) {
        child["supervisor"] = supervisor(chance, depth - 1);
        return child;
    }
    if chance.percent(50) {
        let starts = 1 + chance.below(4);
        let plan: Vec<&str> =
            (0..starts).map(|_| chance.of(&["ok", "ok", "ok", "err", "panic", "ignore"])).collect();
        child["plan"] = json!(plan);
    }
    if chance.percent(15) {
        child["shutdown"] = [json!("brutal_kill"), json!("infinity"), json!(100)][chance.below(3)].clone();
    }
    child
}

fn paths_of(supervisor: &Value, prefix: &str, paths: &mut Vec<String>) {
    for child in supervisor["children"].as_array().into_iter().flatten() {
        let path = format!("{prefix}{}", child["id"].as_str().unwrap_or_default());
        paths_of(&child["supervisor"], &format!("{path}/"), paths);
        paths.push(path);
    }
}

fn step(chance: &mut Chance, paths: &[String]) -> Value {
    let id = paths[chance.below(paths.len())].as_str();
    match chance.below(100) {
        0..40 => {
            let reason = chance.of(&["normal", "shutdown", "shutdown:x", "err", "panic"]);
            json!({ "do": "exit", "id": id, "reason": reason })
        }
        40..50 => json!({ "do": "kill", "id": id }),
        50..60 => {
            let significant = chance.percent(50);
            let mut spec = child(chance, "", 1, significant);
            // Workers of one id may run side by side; a supervisor is addressed by its path, so it has one of its own.
            let local = match spec["supervisor"] {
                Value::Null => chance.of(&["a", "b", "c", "x", "y"]).to_owned(),
                _ => format!("s{}", chance.below(1_000)),
            };
            spec["id"] = json!(if chance.percent(40) { format!("{id}/{local}") } else { local });
            json!({ "do": "start_child", "spec": spec })
        }
        60..68 => json!({ "do": "terminate_child", "id": id }),
        68..74 => json!({ "do": "restart_child", "id": id }),
        74..79 => json!({ "do": "delete_child", "id": id }),
        79..84 => json!({ "do": "which_children", "id": if chance.percent(50) { "" } else { id } }),
        84..89 => json!({ "do": "count_children", "id": if chance.percent(50) { "" } else { id } }),
        89..98 => {
            let ms = [100, 999, 1000, 1001, 4000, 5000, 5001][chance.below(7)];
            json!({ "do": "advance", "ms": ms })
        }
        _ => json!({ "do": "stop" }),
    }
}
