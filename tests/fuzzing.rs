//! A bounded run of random input for both ends of the wire.

use snakepit_tests::fuzz;

#[test]
fn no_input_makes_either_end_panic_hang_or_answer_twice() {
    let counts = fuzz::run(1, |number| number >= 300).unwrap();
    assert_eq!((counts.host_end, counts.worker_end), (300, 300));
}
