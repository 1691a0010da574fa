//! The ways in which a host dies by itself.

use std::ptr;

/// Dies as a word says, at once and for ever; returns where the word is none of these.
pub(super) fn die(how: &str) {
    match how {
        "abort" => std::process::abort(),
        "exit" => exit(),
        "segv" => fault(),
        "oom" => exhaust(),
        _ => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "an exit without any farewell is what the word is for")]
fn exit() -> ! {
    std::process::exit(3)
}

/// A real fault: a signal sent by hand is swallowed once by the runtime's own handler for overflown stacks.
fn fault() {
    #[expect(unsafe_code, reason = "there is no safe way to break the memory, and that is what is asked for")]
    // SAFETY: there is none: no page is mapped at this address, so that the processor refuses the write.
    unsafe {
        ptr::without_provenance_mut::<u64>(64).write_volatile(1);
    }
}

/// Takes memory until the system says no more.
fn exhaust() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut more = vec![0_u8; 1 << 20];
        for page in more.chunks_mut(4096) {
            page[0] = 1;
        }
        taken.push(std::hint::black_box(more));
    }
}
