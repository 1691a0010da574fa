//! One test for each case of the conformance suite, named by its id: `cargo test oc_37`.

macro_rules! tests {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                snakepit_tests::otp::check_case(stringify!($name));
            }
        )*
    };
}

snakepit_tests::otp_cases!(tests);
