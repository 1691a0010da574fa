//! No process is ever left: the protocol's tests, each with its number, in short counts. `chaos` has the long ones.
//!
//! Each host runs under a keeper, which says when nothing is left (`snakepit_tests::keeper`).

mod no_orphans {
    mod bed;

    mod bombs;
    mod cycles;
    mod deaths;
    mod evidence;
    mod guards;
    mod inheritance;
    mod large_host;
    mod output;
    mod programs;
    mod runtimes;
    mod steps;
    mod stops;
    mod terminal;
    mod threads;
}
