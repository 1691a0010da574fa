//! The worker contract, held against every adapter and every worker end of ours, and against workers that break it.

mod adapter_contract {
    mod guide;
    mod in_process;
    mod subjects;
    mod verdicts;
}
