//! The registry of processes at its worst: forged, damaged, deleted, contended for, and without room.

mod damage;
mod full_disk;
mod hosts;
mod reuse;
mod stage;
