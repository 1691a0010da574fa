#!/usr/bin/env python3
"""Drives the example `pit` as a script would, and checks every operation: python3 examples/drive_pit.py"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
HANG_S = 60


class Pit:
    """A running pit: one JSON object a line in, one a line out."""

    def __init__(self, config: Path, **variables: str) -> None:
        built = [ROOT / "target" / "debug" / "examples" / "pit", config]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(built, text=True, env={**os.environ, **variables}, **pipes)

    def __enter__(self) -> Pit:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(HANG_S)

    def say(self, **line: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout
        for line in self.process.stdout:
            yield json.loads(line)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The lines up to and with the one that is wanted."""
        seen = []
        for line in self.lines():
            seen.append(line)
            if wanted(line):
                return seen
        raise AssertionError(f"the pit ended before that; it said {seen}")

    def ask(self, **line: Any) -> dict[str, Any]:
        self.say(**line)
        return self.until(lambda answer: answer.get("id") == line["id"])[-1]

    def until_it_says(self, holds: Callable[[Any], bool], **line: Any) -> Any:
        """Asks until the answer is as wanted; the tests' own patience is the limit."""
        deadline = time.monotonic() + HANG_S
        while not holds(answer := self.ask(**line).get("ok")):
            assert time.monotonic() < deadline, answer
            time.sleep(0.01)
        return answer

    def error(self, **line: Any) -> str | None:
        """The code of the error that is the answer."""
        return self.ask(**line).get("error", {}).get("code")

    def end(self) -> dict[str, Any]:
        """Closes the input; the last line is the report of the shutdown."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.finish()

    def finish(self) -> dict[str, Any]:
        last = list(self.lines())[-1]
        assert self.process.wait(HANG_S) == 0, self.process.returncode
        return last


def config(folder: Path, pool: str = "") -> Path:
    """A configuration in a folder of its own, so that runs never meet."""
    path = folder / "pit.toml"
    worker = ROOT / "examples" / "workers" / "pit_worker.py"
    path.write_text(
        f'data_dir = "var"\n[pools.default]\nadapter = "port"\nprogram = "python3"\n'
        f'args = [{json.dumps(str(worker))}]\nsize = 2\n{pool}'
    )
    return path


def check(what: str, holds: bool, seen: object) -> None:
    print(("ok    " if holds else "FAILED"), what)
    if not holds:
        sys.exit(f"{what}: {seen}")


def operations(folder: Path) -> None:
    with Pit(config(folder)) as pit:
        check("await_ready", pit.ask(id=0, op="await_ready") == {"id": 0, "ok": {"ready": True}}, None)
        answer = pit.ask(id="a", op="execute", command="add", args={"a": 1, "b": 2})
        check("execute", answer == {"id": "a", "ok": 3}, answer)
        pit.say(id=1, op="stream", command="count", args={"n": 3})
        stream = pit.until(lambda line: line.get("end") is True)
        check("stream", len(stream) == 4 and all("chunk" in line for line in stream[:3]), stream)
        pit.say(id=2, op="execute", command="sleep", args={"ms": 60000})
        pit.say(id=2, op="execute", command="sleep", args={"ms": 60000})
        duplicate = pit.until(lambda line: "error" in line)[-1]
        check("a duplicate in flight", duplicate["error"]["code"] == "bad_request" and "id" not in duplicate, duplicate)
        pit.say(id=3, op="cancel", target=2)
        both = [line for line in pit.until(lambda _: True)] + pit.until(lambda _: True)
        codes = {line["id"]: line.get("ok") or line["error"]["code"] for line in both}
        check("cancel", codes == {3: {"cancelled": True}, 2: "cancelled"}, both)
        for command, args, code in [
            ("nope", {}, "unknown_command"),
            ("add", {"a": 1}, "invalid_argument"),
            ("fail", {"message": "m"}, "worker_error"),
            ("crash", {"code": 3}, "worker_lost"),
            ("count", {"n": 1}, "streaming_not_supported"),
        ]:
            answer = pit.ask(id=4, op="execute", command=command, args=args)
            check(f"error {code}", answer["error"]["code"] == code, answer)
        answer = pit.ask(id=5, op="execute", command="sleep", args={"ms": 60000}, timeout_ms=50)
        check("deadline", answer["error"]["code"] == "deadline_exceeded", answer)
        answer = pit.ask(id=6, op="execute", pool="none", command="add")
        check("unknown pool", answer["error"]["code"] == "pool_not_found", answer)
        workers = pit.ask(id=7, op="workers")["ok"]
        check("workers", [worker["id"] for worker in workers] == ["default/0", "default/1"], workers)
        check("stats", pit.ask(id=8, op="stats")["ok"]["total"] == 2, None)
        check("tree", pit.ask(id=9, op="tree")["ok"]["id"] == "snakepit", None)
        assert pit.process.stdin
        pit.process.stdin.write("no json\n")
        pit.say(id=10, op="execute", command="add", args={"a": 2, "b": 2})
        lines = pit.until(lambda line: line.get("id") == 10)
        check("a bad line stops nothing", lines[0]["error"]["code"] == "bad_request" and lines[-1]["ok"] == 4, lines)
        pit.process.stdin.write("[12]\n")
        pit.process.stdin.flush()
        answer = next(pit.lines())
        check("an array is no request", answer["error"]["message"] == "not a JSON object", answer)
        for _ in range(1000):
            pit.say(id=13, op="execute", command="add", args={"a": 1, "b": 1})
            answer = next(pit.lines())
            if answer != {"id": 13, "ok": 2}:
                break
        check("an id that was answered may be used again", answer == {"id": 13, "ok": 2}, answer)
        pit.say(id=11, op="execute", command="sleep", args={"ms": 300})
        last = pit.end()
        check("end of input", last["shutdown"]["processes_left"] == [], last)


def endings(folder: Path) -> None:
    with Pit(config(folder)) as pit:
        pit.ask(id=0, op="await_ready")
        pit.process.send_signal(signal.SIGTERM)
        last = pit.finish()
        check("SIGTERM", last["shutdown"]["processes_left"] == [], last)
    with Pit(config(folder)) as pit:
        pit.ask(id=0, op="await_ready")
        pit.say(id=1, op="shutdown")
        last = pit.finish()
        check("shutdown", last["shutdown"]["processes_left"] == [], last)
    # Workers that would take an hour to leave, and a shutdown that would give them two.
    with Pit(config(folder, 'stop_grace = "1h"\ncancel_grace = "1h"\n')) as pit:
        pit.ask(id=0, op="await_ready")
        pit.say(id=1, op="execute", command="spin", args={"ms": 3_600_000}, timeout_ms=3_600_000)
        while pit.ask(id=2, op="stats")["ok"]["running"] < 1:
            pass
        pit.ask(id=3, op="shutdown", timeout_ms=7_200_000)
        pit.process.send_signal(signal.SIGTERM)
        last = pit.finish()
        check("a signal during a shutdown means now", last["shutdown"]["processes_left"] == [], last)


def unread(folder: Path) -> None:
    """Whoever reads the answers reads no more: the pit still leaves when it is told to."""
    with Pit(config(folder)) as pit:
        pit.ask(id=0, op="await_ready")
        pit.say(id=1, op="stream", command="count", args={"n": 1_000_000_000})
        next(pit.lines())
        for n in range(10):
            pit.say(id=f"{n}" * 100_000, op="cancel", target=0)
        pit.process.send_signal(signal.SIGTERM)
        try:
            code = pit.process.wait(10)
        except subprocess.TimeoutExpired:
            code = None
        check("SIGTERM while nobody reads", code == 1, code)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def requests(folder: Path) -> None:
    """What a line can say of one request."""
    with Pit(config(folder)) as pit:
        pit.ask(id=0, op="await_ready")
        metadata = {"tenant": "a"}
        answer = pit.ask(id=1, op="execute", command="told", session="s", metadata=metadata, traceparent=TRACE)
        told = {"session": "s", "metadata": metadata, "traceparent": TRACE}
        check("session, metadata and traceparent", answer == {"id": 1, "ok": told}, answer)
        pit.say(id=2, op="execute", command="steps", args={"n": 3}, progress=True)
        lines = pit.until(lambda line: "ok" in line)
        told = [line["progress"]["done"] for line in lines[:-1]]
        check("progress", told == sorted(told) and told[-1:] == [3] and lines[-1]["ok"] == 3, lines)
        code = pit.error(id=3, op="execute", command="crash", idempotent=True)
        check("idempotent: tried again, then poisoned", code == "poisoned", code)
        code = pit.error(id=4, op="execute", command="add", affinity="hint")
        check("affinity without a session", code == "invalid_argument", code)
        code = pit.error(id=5, op="execute", command="add", affinity="hnt")
        check("an affinity that there is not", code == "bad_request", code)
        first = pit.ask(id=6, op="execute", command="remember", args={"key": "k", "value": 1}, session="t")["ok"]
        pit.say(id=7, op="execute", command="sleep", args={"ms": 60000}, session="t")
        pit.until_it_says(lambda stats: stats["running"] == 1, id=8, op="stats")
        code = pit.error(id=9, op="execute", command="recall", session="t", affinity="strict_fail_fast")
        check("strict affinity: its worker is busy", code == "worker_busy", code)
        pit.say(id=10, op="cancel", target=7)
        pit.until(lambda line: line.get("id") == 7)
        again = pit.ask(id=11, op="execute", command="recall", session="t", affinity="strict_queue")["ok"]
        check("strict affinity: its worker remembers", again == {"pid": first["pid"], "kept": {"k": 1}}, again)
        check("end_session", pit.ask(id=12, op="end_session", session="t")["ok"] == {"ended": True}, None)
        forgotten = pit.ask(id=13, op="execute", command="recall", session="t")["ok"]["kept"]
        check("end_session: its worker forgot", forgotten == {}, forgotten)
        code = pit.error(id=14, op="end_session", session="nobody")
        check("end_session of nobody", code == "session_not_found", code)
        pit.end()


def events_of(lines: list[dict[str, Any]], subscriber: str) -> list[dict[str, Any]]:
    return [line["event"] for line in lines if line.get("id") == subscriber and "event" in line]


def is_event(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: line.get("event", {}).get("event") == name


def life_cycle(folder: Path) -> None:
    """How a pool is changed while it serves, and what is heard of it."""
    with Pit(config(folder)) as pit:
        health = pit.until_it_says(lambda health: health["status"] == "ready", id=0, op="health")
        check("health of the pit", health["pools"] == [{"pool": "default", "status": "ready", "reason": None}], health)
        check("health of a pool", pit.ask(id=1, op="health", pool="default")["ok"]["status"] == "ready", None)
        check("health of no pool", pit.error(id=1, op="health", pool="none") == "pool_not_found", None)
        pit.say(id="pit", op="events")
        pit.say(id="pool", op="events", pool="default")
        check("events of no pool", pit.error(id=1, op="events", pool="none") == "pool_not_found", None)
        pit.say(id=2, op="resize", size=3)
        lines = pit.until(lambda line: line.get("id") == 2)
        check("resize", lines[-1]["ok"] == {"from": 2, "to": 3}, lines)
        while not all(any(is_event("snakepit.pool.resized")({"event": event}) for event in events_of(lines, id))
                      for id in ("pit", "pool")):
            lines += pit.until(lambda _: True)
        resized = [event for event in events_of(lines, "pool") if event["event"] == "snakepit.pool.resized"]
        check("events: it was told", resized[0]["from"] == 2 and resized[0]["to"] == 3, resized)
        pit.until_it_says(lambda stats: stats["available"] == 3, id=3, op="stats")
        workers = pit.ask(id=4, op="workers")["ok"]
        check("resize: there are three", len(workers) == 3, workers)
        pit.ask(id=5, op="resize", size=1)
        pit.until_it_says(lambda workers: len(workers) == 1, id=6, op="workers")
        check("resize to nothing", pit.error(id=7, op="resize", size=0) == "no_workers", None)
        check("resize to nobody knows", pit.error(id=7, op="resize") == "bad_request", None)
        replaced(pit)
        drained(pit)
        pit.say(id=8, op="execute", command="crash")
        lost = pit.until(is_event("snakepit.worker.lost"))[-1]["event"]
        check("events: a worker was lost", lost["worker"]["pool"] == "default", lost)
        explained(pit)
        pit.say(id=9, op="cancel", target="pool")
        ended = pit.until(lambda line: line.get("id") == "pool" and "error" in line)[-1]
        check("events: cancelled", ended["error"]["code"] == "cancelled", ended)
        assert pit.process.stdin
        pit.process.stdin.close()
        lines = list(pit.lines())
        heard = [event["event"] for event in events_of(lines, "pit")]
        check("events: the end is the last of them", heard[-1] == "snakepit.shutdown.ended", heard)
        check("events: the end", {"id": "pit", "end": True} in lines, lines[-3:])
        check("a subscriber keeps no host", lines[-1]["shutdown"]["processes_left"] == [], lines[-1])


def explained(pit: Pit) -> None:
    """A worker that came after a crash says what it came after."""
    worker = pit.until_it_says(lambda workers: workers[0]["phase"] == "ready" and workers[0]["restarts"] > 0, id="w", op="workers")[0]
    why = pit.ask(id="e", op="explain", worker=worker["id"])["ok"]
    check("explain: it names the life", why["incarnation"] == worker["incarnation"], [why, worker])
    check("explain: it came after a loss", why["because"]["is"] == "restarted" and why["last_loss"] is not None, why)
    check("explain: for people, too", worker["id"] in why["text"], why)
    check("explain nobody", pit.error(id="e", op="explain", worker="default/99") == "not_found", None)
    check("explain what is no worker", pit.error(id="e", op="explain", worker="default") == "bad_request", None)


def drained(pit: Pit) -> None:
    """A pool takes no requests for a while, and finishes those that it has."""
    pit.say(id="long", op="execute", command="sleep", args={"ms": 60000})
    pit.until_it_says(lambda stats: stats["running"] == 1, id="s", op="stats")
    left = pit.ask(id="d", op="drain", timeout_ms=1)["error"]
    check("drain: it says what is left", left["code"] == "timed_out" and left["details"] == {"waiting": 0, "running": 1}, left)
    code = pit.error(id="x", op="execute", command="add", args={"a": 1, "b": 2})
    check("drain: nothing more is let in", code == "pool_draining", code)
    reason = pit.ask(id="h", op="health", pool="default")["ok"]["reason"]
    check("drain: health says so", reason == {"is": "draining", "waiting": 0, "running": 1}, reason)
    pit.say(id="c", op="cancel", target="long")
    pit.until(lambda line: line.get("id") == "long")
    check("drain: it is drained", pit.ask(id="d", op="drain")["ok"] == {"finished": 0}, None)
    check("resume", pit.ask(id="r", op="resume")["ok"] == {"resumed": True}, None)
    answer = pit.ask(id="x", op="execute", command="add", args={"a": 1, "b": 2})
    check("resume: requests are let in again", answer["ok"] == 3, answer)


def replaced(pit: Pit) -> None:
    """Workers make room for others while the pool serves."""
    before = pit.until_it_says(lambda workers: workers[0]["phase"] == "ready", id="w", op="workers")[0]
    recycled = pit.ask(id="r", op="recycle", worker=before["id"])["ok"]
    after = pit.until_it_says(lambda workers: len(workers) == 1, id="w", op="workers")[0]
    names = [(life["pool"], life["slot"]) for life in (recycled["old"], recycled["new"])]
    wanted = [tuple([pool, int(slot)]) for pool, slot in (before["id"].split("/"), after["id"].split("/"))]
    check("recycle: another took over", names == wanted and before["os_pid"] != after["os_pid"], [recycled, after])
    check("recycle nobody", pit.error(id="r", op="recycle", worker="default/99") == "not_found", None)
    check("recycle what is no worker", pit.error(id="r", op="recycle", worker="default") == "bad_request", None)
    report = pit.ask(id="R", op="rolling_restart")["ok"]
    outcomes = [worker["outcome"] for worker in report["workers"]]
    check("rolling_restart", report["complete"] and outcomes == ["replaced"], report)
    last = pit.until_it_says(lambda workers: len(workers) == 1, id="w", op="workers")[0]
    check("rolling_restart: another took over", last["os_pid"] != after["os_pid"], [report, last])
    answer = pit.ask(id="a", op="execute", command="add", args={"a": 1, "b": 2})
    check("rolling_restart: it serves", answer["ok"] == 3, answer)


def environment(folder: Path) -> None:
    """The file of an environment lies over the first, and variables over both."""
    (folder / "pit.test.toml").write_text("pools.default.size = 3\n")
    for variables, size in [
        ({}, 2),
        ({"SNAKEPIT_ENV": "test"}, 3),
        ({"SNAKEPIT_ENV": "test", "SNAKEPIT__POOLS__DEFAULT__SIZE": "1"}, 1),
    ]:
        with Pit(config(folder), **variables) as pit:
            stats = pit.ask(id=0, op="stats")["ok"]
            check(f"a pit under {variables}", stats["total"] == size, stats)
            pit.end()
    for variables, words in [
        ({"SNAKEPIT_ENV": "tset"}, ["SNAKEPIT_ENV is tset", "pit.tset.toml"]),
        ({"SNAKEPIT__POOLS__DEFAULT__SIZ": "1"}, ["SNAKEPIT__POOLS__DEFAULT__SIZ: ", "unknown key siz", "mean size"]),
    ]:
        refused(f"a bad environment: {variables}", config(folder), words, **variables)


def refused(what: str, config: Path, words: list[str], **variables: str) -> None:
    built = [ROOT / "target" / "debug" / "examples" / "pit", config]
    env = {**os.environ, **variables}
    run = subprocess.run(built, env=env, capture_output=True, text=True, timeout=HANG_S, check=False)
    check(what, run.returncode == 2 and all(word in run.stderr for word in words), run)


def bad_files(folder: Path) -> None:
    for pool, words in [
        ("siz = 2\n", ["pit.toml, line 7", "unknown key siz", "mean size"]),
        ("[pools.default.heartbeat]\nmiss = 1\n", ["heartbeat.miss", "misses"]),
        ("timeout = 250\n", ["timeout", "a duration"]),
        ("[pools.default.restart]\nintensity = \"x\"\n", ["restart.intensity", "a whole number from 0 to", "not \"x\""]),
        ("env = { A = 1 }\n", ["env.A", "a text"]),
    ]:
        refused(f"a bad file: {pool.strip()!r}", config(folder, pool), words)


def main() -> None:
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--example", "pit"], cwd=ROOT, check=True)
    for chapter in (operations, requests, life_cycle, endings, unread, environment, bad_files):
        with tempfile.TemporaryDirectory() as folder:
            chapter(Path(folder))
    print("pit does what it says")


if __name__ == "__main__":
    main()
